/* memory.h - the arena in a puppet: mapped, with the test's marks applied,
 * private in forked children (memory.c).
 */
#ifndef MEMORY_H
#define MEMORY_H

#include <stdbool.h>

#include "shared/wire.h"

/* Maps the arena that fd refers to, arranges that forked children get a copy
 * of their own, and catches accesses to trap pages, which park the puppet at
 * slot->trapped.  Closes fd.  Once in a process; false when it fails. */
bool memory_open(int fd, struct slot *slot);

/* Applies the marks that the test has added since the last call. */
void apply_marks(void);

/* Before exec: gives SIGSEGV its default action again. */
void memory_ignore_traps(void);

#endif
