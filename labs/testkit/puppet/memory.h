/* memory.h - the arena as a puppet has it: mapped, with the test's marks
 * applied, private in forked children (memory.c).
 */
#ifndef MEMORY_H
#define MEMORY_H

#include <stdbool.h>

#include "shared/wire.h"

/* Maps the arena that fd refers to, arranges that forked children get a copy
 * of their own, and catches accesses to trap pages, which park the puppet at
 * slot->trapped.  Takes fd over.  Once in a process; false when it cannot. */
bool memory_open(int fd, struct slot *slot);

/* Carries out the marks that the test has added since the last time. */
void apply_marks(void);

/* Before exec: a fault ends the program as it ends any other. */
void memory_ignore_traps(void);

#endif
