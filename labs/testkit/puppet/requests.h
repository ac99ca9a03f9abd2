/* requests.h - a puppet from its start to its end (requests.c). */
#ifndef REQUESTS_H
#define REQUESTS_H

#include "shared/wire.h"

/* Runs a puppet: maps the arena that arena_fd refers to, sends FRAME_HELLO as
 * the reply to `start`, and serves requests on test_fd until it is ended. */
__attribute__((noreturn)) void run_puppet(int test_fd, const struct frame *start, int arena_fd,
                                          const char *submission_path);

#endif
