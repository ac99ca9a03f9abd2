/* serve.h - what puppets send: replies are kept, questions are answered
 * (serve.c).  Every wait of the test calls this, so that no puppet waits for an
 * answer in vain.
 */
#ifndef SERVE_H
#define SERVE_H

#include <stdbool.h>

#include "puppets.h"

/* Serves all puppets until something has come, or for timeout_us. */
void serve(unsigned timeout_us);

/* Serves what has been sent until now; whether the puppet has a reply, or its
 * socket is at its end. */
bool has_reply(struct puppet *);

/* The first message in the inbox, or one of size 0 when the socket is at its
 * end.  The inbox must not be empty otherwise. */
struct message take_message(struct puppet *);

#endif
