/* wrappers.h - the puppet executable's wrappers around libc (wrappers.c). */
#ifndef WRAPPERS_H
#define WRAPPERS_H

#include "shared/wire.h"

/* From here to faults_disarm() the wrappers carry out the slot's plan;
 * otherwise they only pass calls on to libc. */
void faults_arm(struct slot *slot);
void faults_disarm(void);

/* Sets a flag and sleeps until the test clears it.  Returns at once if
 * `*wanted` is already 0; wanted may be NULL. */
void park(atomic_uint *flag, const atomic_uint *wanted);

#endif
