/* wrappers.h - the puppet executable's wrappers around libc (wrappers.c). */
#ifndef WRAPPERS_H
#define WRAPPERS_H

#include "shared/wire.h"

/* From here to faults_disarm() the wrappers follow the slot's plan; outside
 * they only pass calls on. */
void faults_arm(struct slot *slot);
void faults_disarm(void);

/* Raises a flag in the control page and sleeps until the test lowers it.  Does
 * not sleep when the test no longer wants it: when *wanted, if there is one, is
 * 0 by then. */
void park(atomic_uint *flag, const atomic_uint *wanted);

#endif
