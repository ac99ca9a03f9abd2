/* trap.h - stops puppets at trap pages, for the fork server (trap.c).
 *
 * Functions that return int return 0, or -1 with errno.
 */
#ifndef TRAP_H
#define TRAP_H

#include <stdbool.h>
#include <sys/types.h>

/* From now on an access of the puppet's first thread to a trap page of the arena
 * stops that thread, with every lock that it holds. */
int trap_trace(pid_t puppet);

/* Handles what has stopped traced puppets: after SIGCHLD. */
void trap_handle_stops(void);

bool trap_holds(pid_t puppet);

/* Makes the page accessible to a puppet that is stopped there, and lets it
 * continue with the same instruction. */
int trap_release(pid_t puppet);

/* The puppet is dead. */
void trap_forget(pid_t puppet);

#endif
