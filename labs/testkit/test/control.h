/* control.h - the control page: what the test tells its puppets besides requests
 * (control.c).
 */
#ifndef CONTROL_H
#define CONTROL_H

#include <stdbool.h>

#include "shared/wire.h"

/* Before each test: no marks, nothing armed. */
void control_reset(void);
int control_fd(void); /* the memfd, for the fork server */

/* Describes a piece of the arena to all puppets (wire.h). */
void control_mark(enum mark_kind, size_t at, size_t bytes);

/* Whether a puppet asks before (and after) such a call. */
void control_arm(unsigned puppet, enum fault_call, bool armed);

void control_set_nargs(unsigned callback, unsigned nargs);

/* Answers the question that thread `tid` asked with this ticket, and wakes it. */
void control_answer(uint32_t tid, uint64_t ticket, unsigned flags, int error, uint64_t value);

#endif
