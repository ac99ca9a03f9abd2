/* memory.h - the arena in a puppet: mapped, with the test's marks applied,
 * private in forked children (memory.c).
 */
#ifndef MEMORY_H
#define MEMORY_H

#include <stdbool.h>

/* Maps the arena that fd refers to, and arranges that forked children get a copy
 * of their own.  Closes fd.  Once in a process; false when it fails. */
bool memory_open(int fd);

/* Applies the marks that the test has added since the last call. */
void apply_marks(void);

#endif
