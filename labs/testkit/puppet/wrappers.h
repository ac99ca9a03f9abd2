/* wrappers.h - the puppet executable's wrappers around libc, for the request loop
 * (wrappers.c).
 */
#ifndef WRAPPERS_H
#define WRAPPERS_H

#include <stdint.h>

/* From here to faults_disarm(), a call that is armed in the control page for
 * this puppet asks the test first; otherwise the wrappers only pass calls on to
 * libc. */
void faults_arm(unsigned puppet);
void faults_disarm(void);

/* The submission lies at [start, end): only its own allocations ask, not those
 * that libc makes for itself. */
void faults_submission_at(uintptr_t start, uintptr_t end);

#endif
