/* progress.h - whether anything in the sandbox can still run (progress.c). */
#ifndef PROGRESS_H
#define PROGRESS_H

#include <stdbool.h>

#include "testkit.h" /* struct progress */

/* True when no process of the sandbox and no child of the test makes progress
 * any more: none has run for 3 seconds, or for 10 seconds where one sleeps with
 * a time limit.  Call it repeatedly, with one struct for one wait. */
bool nothing_can_run(struct progress *);

#endif
