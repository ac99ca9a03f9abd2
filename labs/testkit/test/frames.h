/* frames.h - one request to a puppet and its answer (frames.c). */
#ifndef FRAMES_H
#define FRAMES_H

#include "puppets.h"

/* Sends a request to a puppet that has none outstanding.  fd goes with it
 * unless it is -1. */
void puppet_send(struct puppet *, struct frame *question, int fd);
/* Waits for its answer and checks that; the value, and errno as in it.  Fails
 * the test when the puppet ends, hangs, or answers with anything else. */
uint64_t puppet_receive(struct puppet *);
/* Both. */
uint64_t puppet_ask(struct puppet *, struct frame *question, int fd);

/* As puppet_receive, where no answer is a good answer: the puppet's end of the
 * socket is closed by exec. */
void puppet_receive_refusal(struct puppet *);
/* Waits until the puppet has ended. */
void puppet_await_end(struct puppet *);

/* "buddy_alloc(meta+0x10, 100)" */
void describe_call(char *text, size_t size, const char *function, size_t nargs,
                   const uint64_t args[]);

#endif
