/* frames.h - one request to a puppet and its reply (frames.c). */
#ifndef FRAMES_H
#define FRAMES_H

#include "puppets.h"

/* Sends a request to a puppet that has none outstanding.  fd goes with it
 * unless it is -1. */
void puppet_send(struct puppet *, struct frame *request, int fd);
/* Waits for the reply and checks it.  Returns its value and sets its errno.
 * Fails the test when the puppet ends, hangs, or sends anything else. */
uint64_t puppet_receive(struct puppet *);
/* puppet_send() and puppet_receive(). */
uint64_t puppet_request(struct puppet *, struct frame *request, int fd);

/* After FRAME_EXEC: returns when exec has closed the puppet's end of the
 * socket.  Fails the test when a reply comes, which says why exec failed. */
void puppet_receive_refusal(struct puppet *);
/* Waits until the puppet has ended. */
void puppet_await_end(struct puppet *);

/* "buddy_alloc(meta+0x10, 100)" */
void describe_call(char *text, size_t size, const char *function, size_t nargs,
                   const uint64_t args[]);

#endif
