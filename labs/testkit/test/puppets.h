/* puppets.h - the puppets of the current test, for the other modules
 * (puppets.c).  Tests use puppet_start() and others in testkit.h.
 */
#ifndef PUPPETS_H
#define PUPPETS_H

#include "shared/wire.h"
#include "testkit.h"

enum { LOOK_MS = 50 }; /* pause between two checks in a wait for a puppet */

/* A planned fault; the puppet reads its copy in the slot. */
struct planned_fault {
    uint32_t kind, call, nth;
    unsigned counted; /* such calls when it was planned, counted by the puppet */
};

struct puppet {
    int socket, pidfd; /* -1 once it has ended */
    pid_t pid;         /* as this process sees it */
    pid_t sandbox_pid; /* as its fork server sees it */
    struct slot *slot;
    bool beginning;                   /* after begin(): do not wait for the next call */
    bool busy;                        /* a call is outstanding */
    uint64_t nonce;                   /* of that call */
    struct process_activity at_start; /* after begin() has sent it */
    char doing[256];                  /* that call, as text */
    const struct script *script;      /* the script that runs, or NULL */
    /* Writes the current call of that script into `doing`; NULL without one. */
    void (*describe_progress)(struct puppet *);
    unsigned nfaults; /* planned */
    struct planned_fault faults[MAX_FAULTS];
    bool hold_planned; /* one of them is a hold */
    int status;        /* wait status, once it has ended; -1 if unknown */
};

/* The puppets of this test, in the order of their starts. */
size_t puppets_count(void);
struct puppet *puppets_get(size_t index);

void puppets_end(void);  /* ends all by _exit(0), after a test */
void puppets_kill(void); /* kills all and forgets them, before the next test */

struct puppet *current_or_new(void); /* starts one if there is none */
bool puppet_is_dead(const struct puppet *);
/* Waits; false when it is still alive after timeout_ms. */
bool puppet_ends_within(const struct puppet *, int timeout_ms);

/* Stores the wait status of a puppet that is dead, or about to be. */
void reap(struct puppet *);
void kill_and_reap(struct puppet *);

/* A grader error when the puppet is still in a call. */
void puppet_expect_idle(const struct puppet *, const char *caller);

#endif
