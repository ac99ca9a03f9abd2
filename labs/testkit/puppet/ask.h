/* ask.h - questions to the test, from any thread of a puppet and from its forked
 * children (ask.c).
 */
#ifndef ASK_H
#define ASK_H

#include "shared/wire.h"

/* An answer, copied out of the control page. */
struct reply {
    int error;
    unsigned flags; /* enum answer_flags */
    uint64_t value;
};

/* Which socket leads to the test.  Once in a puppet. */
void ask_open(int test_fd);
int ask_socket(void);

/* Sends a FRAME_ASK or FRAME_CALLBACK and sleeps until the test has answered;
 * no signal handler runs meanwhile.  errno stays as it is.  Ends the process when
 * the test cannot be reached any more. */
struct reply ask(struct frame *question);

#endif
