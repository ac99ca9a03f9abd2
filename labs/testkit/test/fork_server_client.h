/* fork_server_client.h - the test's end of the fork server
 * (fork_server_client.c).
 *
 * Each of these fails the test, or is a grader error where student code has
 * not run yet, when the fork server has ended or does not reply.
 */
#ifndef FORK_SERVER_CLIENT_H
#define FORK_SERVER_CLIENT_H

#include <stdbool.h>
#include <sys/types.h>

#include "shared/wire.h"

void fork_server_open(void);  /* starts the session's own, if it has none */
void fork_server_close(void); /* ends it */

/* Sends a request and waits for the reply.  give_fd goes with the request
 * unless it is -1; *fd is the descriptor that came with the reply, or -1.
 * False when the reply is FRAME_FAILED (which holds the error). */
bool fork_server_request(struct frame *request, int give_fd, struct frame *reply, int *fd);

/* FRAME_TRACE, FRAME_TRAPPED or FRAME_UNTRAP; returns the first word of the
 * reply. */
uint64_t fork_server_ask(enum frame_kind, pid_t sandbox_pid);

/* Ends everything that runs in the sandbox, and removes the shared folder; where
 * the sandbox is private, also all objects of its user. */
void fork_server_sweep(void);

/* The reply to FRAME_OBJECTS, valid until the next call. */
char *fork_server_objects(const char *mark);

#endif
