/* progress.h - whether anything in the sandbox can still run (progress.c). */
#ifndef PROGRESS_H
#define PROGRESS_H

#include <stdbool.h>

#include "testkit.h" /* struct progress */

/* True when no process of the sandbox, and no helper of the test, makes
 * progress any more: for some seconds none ran, and none sleeps with a time
 * limit; or for some more none ran.  To be asked again and again, with one
 * struct for one wait. */
bool nothing_can_run(struct progress *);

#endif
