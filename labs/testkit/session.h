/* session.h - what the files of the test process share and tests do not see.
 *
 * One session is one run of a test binary: a stage, and one test after the
 * other.  Everything below `test` begins anew with each.
 */
#ifndef SESSION_H
#define SESSION_H

#include <sched.h>

#include "testkit.h"
#include "wire.h"

enum { CALLS_SHOWN = 12, MAX_BLOCKS = 2048 };

struct puppet {
    int socket, pidfd; /* -1 once it has ended */
    pid_t pid;         /* as this process sees it */
    pid_t box_pid;     /* as its stage sees it */
    struct slot *slot;
    bool beginning;                   /* the next call is not waited for */
    bool busy;                        /* a call is outstanding */
    uint64_t nonce;                   /* of that call */
    struct process_activity at_start; /* when begin() had sent it */
    unsigned nfaults;                 /* planned */
    bool to_be_held;                  /* one of them is a hold */
    int status;                       /* status word, once it has ended */
    char doing[256];                  /* that call, as text */
    const struct script *script;      /* of which that call is one, or NULL */
};

struct block { /* a piece of the arena */
    const char *name;
    size_t at, bytes;   /* offset from ARENA_ADDRESS */
    size_t front, back; /* widths of its red zones */
};

struct registered;

struct session {
    int stage;         /* socket, -1 when there is none */
    bool own_stage;    /* this process started it */
    pid_t stage_pid;   /* if own */
    pid_t box;         /* the stage, as the puppets' parent; 0 before the first */
    bool shared;       /* no private namespaces: others' objects lie about */
    unsigned patience; /* factor for all limits: Valgrind is slow; 0: wait for ever */
    size_t ntests_chosen;
    const char *puppet_path, *submission_path, *programs, *wrap;
    uint64_t seed;
    bool seed_used;
    cpu_set_t cpus;   /* where this process may run */
    bool calls_begun; /* student code has run in this box */
    unsigned ntests;  /* begun so far */

    struct {
        const struct registered *which;
        bool passed;
        int arena_fd;
        size_t arena_used;
        struct block blocks[MAX_BLOCKS];
        size_t nblocks;
        unsigned nmarks;
        struct puppet puppets[MAX_PUPPETS];
        size_t npuppets;
        struct puppet *current;
        struct script *recording;
        int cpu; /* where test and puppets run; -1: anywhere */
        char calls[CALLS_SHOWN][256];
        size_t ncalls;
    } test;
};
extern struct session session;

struct registered { /* a test of this binary */
    const char *name, *rule, *file;
    int line;
    void (*function)(void);
};

/* runner.c */
__attribute__((noreturn, format(printf, 1, 2))) void test_fail(const char *format, ...);

/* stage.c */
void stage_open(void);  /* starts the session's own stage, if it has none */
void stage_close(void); /* ends it */
/* Asks and waits for the answer.  *fd is the descriptor that came with it, or
 * -1.  False when the stage says FRAME_FAILED (its error in the answer); does
 * not return when the box is gone. */
bool stage_ask(struct frame *question, int give_fd, struct frame *answer, int *fd);
void stage_sweep(void);
/* The answer to FRAME_OBJECTS, valid until the next call. */
char *stage_objects(void);

/* observe.c */
#define SECOND_NS UINT64_C(1000000000)
uint64_t clock_ns(void); /* CLOCK_MONOTONIC */
/* True when no process of the box, and no helper of the test, can move any
 * more: for some seconds none ran, and none sleeps with a limit; or for some
 * more none ran.  To be asked again and again, with one struct for one wait. */
bool box_stands_still(struct stillness *);
/* A limit (of seconds, or whatever is counted), with this session's patience. */
uint64_t limit(unsigned most);
/* Removes the objects of this test that object_name() named. */
void leftovers_remove(void);

/* arena.c */
void arena_open(void);
void arena_close(void);
void arena_check(void); /* fails the test when a red zone was written to */
/* "meta+0x10", "NULL", "-1", "4096", "0x7f...": a word as a reader wants it. */
void arena_describe(uint64_t word, char *text, size_t size);

/* remote.c */
/* The test took more of something than there is.  Once student code has run it
 * may have kept the test going, so that fails it; before, the grader is broken. */
__attribute__((noreturn, format(printf, 1, 2))) void test_ran_out(const char *format, ...);
void puppets_end(void);
void puppets_kill(void);
bool puppet_is_dead(const struct puppet *);
struct puppet *current_or_new(void);
uint64_t nonce_new(void);
void describe_call(char *text, size_t size, const char *function, size_t nargs,
                   const uint64_t args[]);
void note_call(const char *format, ...) __attribute__((format(printf, 1, 2)));
/* The grader is broken when the puppet is still in a call. */
void puppet_expect_idle(const struct puppet *, const char *caller);
/* Sends a question to a puppet and waits for its answer. */
uint64_t puppet_ask(struct puppet *, struct frame *question, int fd);
/* The two halves of it. */
void puppet_tell(struct puppet *, struct frame *question, int fd);
uint64_t puppet_await(struct puppet *);

/* script.c */
void script_append(const char *function, size_t nargs, const uint64_t args[]);
/* Puts the call of its script at which a puppet stands into p->doing. */
void script_describe_progress(struct puppet *p);
void scripts_free(void);

#endif
