/* puppets.h - the puppets of the current test, for the other modules
 * (puppets.c).  Tests use puppet_start() and others in testkit.h.
 */
#ifndef PUPPETS_H
#define PUPPETS_H

#include "shared/wire.h"
#include "testkit.h"

enum { LOOK_MS = 50 }; /* pause between two checks in a wait for a puppet */

enum { MAX_INBOX = 4, MAX_FAULTS = 64 };

struct message { /* from a puppet, not checked yet */
    struct frame frame;
    ssize_t size; /* 0: the socket is at its end */
    int fd;       /* that came with it, or -1 */
    pid_t sender; /* as the kernel says */
};

enum fault_kind {
    FAULT_FAIL = 1,
    FAULT_SHORT,
    FAULT_DELAY,
    FAULT_OBSERVE,
    FAULT_HOLD_BEFORE,
    FAULT_HOLD
};

struct fault { /* what the test has planned for some calls to libc */
    enum fault_kind kind;
    enum fault_call call;
    unsigned nth;
    bool sticky;    /* all calls from the nth on */
    int error;      /* FAULT_FAIL */
    uint64_t bytes; /* FAULT_SHORT */
    uint64_t seed;  /* FAULT_DELAY */
    unsigned max_us;
    fault_observer *observer; /* FAULT_OBSERVE */
    bool reached;
    uint32_t tid;     /* that made the nth call */
    unsigned counted; /* such calls when it was planned */
};

struct puppet {
    unsigned number;                  /* from 0, in the order of the starts */
    int socket, pidfd;                /* -1 once it has ended */
    pid_t pid;                        /* as this process sees it */
    pid_t sandbox_pid;                /* as its fork server sees it */
    bool beginning;                   /* after begin(): do not wait for the next call */
    bool busy;                        /* a call is outstanding */
    uint64_t nonce;                   /* of that call */
    struct process_activity at_start; /* after begin() has sent it */
    char doing[256];                  /* that call, as text */
    const struct script *script;      /* the script that runs, or NULL */
    /* Writes the current call of that script into `doing`; NULL without one. */
    void (*describe_progress)(struct puppet *);

    struct message inbox[MAX_INBOX]; /* received; questions are never among them */
    size_t ninbox;
    unsigned long nreceived; /* messages, questions included */
    bool closed;             /* nothing more comes from its socket */
    bool observable;         /* /proc shows what it does, before the submission was loaded */
    bool traced;             /* the fork server stops it at trap pages */

    unsigned calls[FAULT_CALLS]; /* that asked, since fault_clear() */
    bool watched[FAULT_CALLS];   /* those are counted */
    struct fault faults[MAX_FAULTS];
    unsigned nfaults;
    unsigned fired; /* planned failures, short transfers and holds that happened */
    pid_t fired_in; /* the process in which the last one happened */
    enum fault_call fired_call;
    bool repeated;  /* that process has made such a call again */
    bool displace;  /* shared mappings */
    unsigned nmaps; /* displaced so far */

    int status; /* wait status, once it has ended; -1 if unknown */
};

/* The puppets of this test, in the order of their starts. */
size_t puppets_count(void);
struct puppet *puppets_get(size_t index);

void puppets_end(void);  /* ends all by _exit(0), after a test */
void puppets_kill(void); /* kills all and forgets them, before the next test */

/* After a failed test: prints the calls that have not returned. */
void puppets_explain(void);

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
