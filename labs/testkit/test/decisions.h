/* decisions.h - what becomes of a puppet's calls to libc, and their numbers
 * (decisions.c).  Tests use fault_fail() and others in testkit.h (faults.c).
 */
#ifndef DECISIONS_H
#define DECISIONS_H

#include "puppets.h"

void decisions_forget(void); /* before each test */

/* Counts a call that asked, and answers at once, later, or when it is released. */
void decisions_ask(struct puppet *, const struct message *);

/* Answers the calls whose pauses are over; how long the next one takes, in
 * microseconds (UINT64_MAX: there is none). */
uint64_t decisions_due(void);

/* Whether a call of this puppet waits for decisions_release(), or for the end of
 * a pause. */
bool decisions_hold(const struct puppet *);
bool decisions_delay(const struct puppet *);

/* Answers all calls of this puppet that wait. */
void decisions_release(const struct puppet *);

#endif
