/* session.h - one run of a test binary: its options, its fork server, and the
 * test that it runs.  It depends on no other module of test/.  The
 * others keep their own state of the test that runs.
 */
#ifndef SESSION_H
#define SESSION_H

#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "shared/wire.h"

struct registered { /* a test of this binary */
    const char *name, *rule, *file;
    int line;
    void (*function)(void);
};

struct session {
    /* from the command line */
    const char *puppet_path, *submission_path, *programs, *wrap;
    uint64_t seed;
    unsigned timeout_factor; /* for all limits: Valgrind is slow; 0: no limits */
    bool shared;             /* no private namespaces: others' objects are visible */
    bool count_heap;         /* print how many blocks a test leaves allocated */
    bool stop_at_hang;       /* run no test after the first that hangs */
    size_t ntests_chosen;

    int fork_server;               /* its socket, -1 when there is none */
    bool own_fork_server;          /* this process started it */
    pid_t fork_server_pid;         /* if own */
    pid_t sandbox;                 /* the fork server as the puppets' parent; 0 before the first */
    bool calls_begun;              /* student code has run in this sandbox */
    char folder[FRAME_TEXT_BYTES]; /* path of its shared folder; "" when there is none */

    unsigned ntests;               /* begun so far */
    const struct registered *test; /* the current one */
    bool seed_used;                /* by this test */
    cpu_set_t cpus;                /* where this process may run */
    int cpu;                       /* where test and puppets run; -1: anywhere */
};
extern struct session session;

#endif
