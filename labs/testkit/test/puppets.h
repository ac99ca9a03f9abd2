/* puppets.h - the puppets of the test that runs (puppets.c); what a test does
 * with them is in testkit.h.
 */
#ifndef PUPPETS_H
#define PUPPETS_H

#include "shared/wire.h"
#include "testkit.h"

enum { LOOK_MS = 50 }; /* how long a wait for a puppet takes between two looks */

/* A fault as it was planned; the puppet's copy is in its slot. */
struct planned_fault {
    uint32_t kind, call, nth;
    unsigned counted; /* such calls before it was planned, as the puppet says */
};

struct puppet {
    int socket, pidfd; /* -1 once it has ended */
    pid_t pid;         /* as this process sees it */
    pid_t sandbox_pid; /* as its fork server sees it */
    struct slot *slot;
    bool beginning;                   /* the next call is not waited for */
    bool busy;                        /* a call is outstanding */
    uint64_t nonce;                   /* of that call */
    struct process_activity at_start; /* when begin() had sent it */
    char doing[256];                  /* that call, as text */
    const struct script *script;      /* of which that call is one, or NULL */
    /* Brings `doing` up to date, where that is a script; else NULL. */
    void (*describe_progress)(struct puppet *);
    unsigned nfaults; /* planned */
    struct planned_fault faults[MAX_FAULTS];
    bool hold_planned; /* one of them is a hold */
    int status;        /* status word, once it has ended */
};

/* The puppets of this test, in the order of their starts. */
size_t puppets_count(void);
struct puppet *puppets_get(size_t index);

void puppets_end(void);  /* all, by _exit(0), when the test has come to its end */
void puppets_kill(void); /* all; begins anew for the next test */

struct puppet *current_or_new(void);
bool puppet_is_dead(const struct puppet *);
/* Waits; false when it is still alive after timeout_ms. */
bool puppet_ends_within(const struct puppet *, int timeout_ms);

/* Takes note of the end of a puppet that is dead, or is about to be. */
void reap(struct puppet *);
void kill_and_reap(struct puppet *);

/* The grader is broken when the puppet is still in a call. */
void puppet_expect_idle(const struct puppet *, const char *caller);

#endif
