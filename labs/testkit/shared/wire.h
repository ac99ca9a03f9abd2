/* wire.h - the protocol between the test process and the puppet executable:
 * frames, the arena, and the control page.  The test checks every frame that it
 * receives.  Nothing that affects a score lies where student code can write:
 * the arena holds what is passed by pointer, the control page is read-only.
 */
#ifndef WIRE_H
#define WIRE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fault_calls.h"

enum {
    FRAME_WORDS = 6,
    FRAME_TEXT_BYTES = 124,
    OBJECTS_BYTES = 32768,
    OWN_FDS = 500, /* descriptors from here on belong to the kit */
    MAX_PUPPETS = 256,
    MAX_CALLBACKS = 16,
    MAX_MARKS = 1 << 16,
};

/* ---- frames --------------------------------------------------------------- */

/* The one message on every socket; each arrives complete (SOCK_SEQPACKET).
 *
 *     0        4        8                16                     64    68       192
 *     +--------+--------+----------------+----------------------+-----+--------+
 *     |  kind  | error  |     nonce      | words[0] .. words[5] | tid |  text  |
 *     +--------+--------+----------------+----------------------+-----+--------+
 *
 * A reply repeats the nonce of its request.  A descriptor can go with a frame
 * (SCM_RIGHTS), and the kernel adds the sender's pid (SCM_CREDENTIALS):
 *
 *     test process                      puppet
 *       FRAME_CALL  "ring_put", words ---->   calls ring_put()
 *                   <---- FRAME_ASK       "may I call sem_wait()?"
 *       an answer, in the control page -->    calls sem_wait(), or fails it
 *                   <---- FRAME_RETURNED  words[0]: value, error: errno
 */
struct frame {
    uint32_t kind;
    int32_t error;
    uint64_t nonce;
    uint64_t words[FRAME_WORDS];
    uint32_t tid; /* of the thread that asks, as gettid() returns it */
    char text[FRAME_TEXT_BYTES];
};

enum frame_kind {
    /* requests to a puppet */
    FRAME_CALL = 1,  /* text: function; words: arguments */
    FRAME_CALL_LIBC, /* the same, for a function of libc */
    FRAME_SCRIPT,    /* words: struct script_call *, count */
    FRAME_GIVE_FD,   /* words: number; SCM_RIGHTS: the descriptor */
    FRAME_CLOSE_FD,  /* words: number */
    FRAME_EXEC,      /* words: argc, bytes; then one message: argv's strings */
    FRAME_ENTRY,     /* words: callback; reply: the address of its entry point */
    FRAME_END,       /* exit by _exit(0); no reply */
    /* replies of a puppet */
    FRAME_HELLO,          /* to its start, before the submission is loaded */
    FRAME_RETURNED,       /* words: value; error: errno */
    FRAME_REFUSED,        /* text: why the call was not made */
    FRAME_CHILD_RETURNED, /* a forked child returned from the function */
    /* questions of a puppet or its forked children; nonce: the ticket */
    FRAME_ASK,      /* words: enum fault_call, enum ask_phase */
    FRAME_CALLBACK, /* error: number of the callback; words: arguments */
    /* requests to the fork server */
    FRAME_CONTROL, /* SCM_RIGHTS: the control page, for puppets that start later */
    FRAME_START,   /* words: slot, cpu or -1; SCM_RIGHTS: the arena */
    FRAME_WAIT,    /* words: pid; the reply comes when it has ended */
    FRAME_TRACE,   /* words: pid; from now on trap pages stop that puppet */
    FRAME_TRAPPED, /* words: pid; reply: words: 1 when it is stopped at a trap page */
    FRAME_UNTRAP,  /* words: pid; it can use the page now, and continues */
    FRAME_OBJECTS, /* text: a part of their names; reply: a text of at most OBJECTS_BYTES */
    FRAME_MODE,    /* text: "/name" of shared memory, or "" and words: key; reply: words: mode */
    FRAME_SWEEP,   /* end all children, remove the folder; words: 1 removes all objects, too */
    FRAME_FOLDER,  /* reply: SCM_RIGHTS: the shared folder, made if need be; text: its path */
    FRAME_CREATE,  /* text: a name in that folder; words: type and permissions (mknod) */
    FRAME_OPEN,    /* text: a name in that folder; words: flags; reply: SCM_RIGHTS */
    FRAME_QUEUE,   /* text: name; words: flags, max. messages or 0, their size; reply: SCM_RIGHTS */
    /* replies of the fork server */
    FRAME_STARTED, /* words: pid in the sandbox; SCM_RIGHTS: the socket */
    FRAME_WAITED,  /* words: status as waitpid stores it */
    FRAME_DONE,    /* words: as the request says */
    FRAME_FAILED,  /* error: errno */
};

#define UNLISTED " cannot be listed: " /* in the reply to FRAME_OBJECTS: a path and why */

/* ---- the arena ------------------------------------------------------------- */

/* A memfd that the test and all puppets of a test map at one address.  The
 * address is free in a native process, under Valgrind and under
 * AddressSanitizer alike, and above 4 GiB: a pointer that is stored in 32 bits
 * is lost.
 *
 *     ARENA_ADDRESS                                            + ARENA_BYTES
 *     +-----+---------+-----+-----+-----------+--------+----
 *     | red |  block  | red | red |   block   |  trap  | ...
 *     |zone |"meta"   |zone |zone |"message"  |  page  |
 *     +-----+---------+-----+-----+-----------+--------+----
 *     |<-- shared with puppets, private in their forked children
 *
 * Blocks are handed out from low to high (arena_alloc() and others); a block
 * of arena_trap() ends at a page that puppets cannot touch. */
#define ARENA_ADDRESS ((char *)0x200000000000)
#define ARENA_BYTES ((size_t)256 << 20)

enum { ARENA_GARBAGE = 0xdb }; /* what inputs are overwritten with */

/* ---- scripts ---------------------------------------------------------------- */

struct script_call { /* a script is an array of these in the arena */
    char function[40];
    uint64_t words[FRAME_WORDS];
    uint32_t input_bytes[FRAME_WORDS]; /* of the input that a word points to; overwritten after */
    uint64_t value;                    /* written by the puppet */
    int32_t error;                     /* written by the puppet */
    uint16_t nargs;
    uint16_t done; /* written by the puppet */
};

/* A word with this tag in a script stands for the return value of an earlier
 * call.  No pointer has it (it is not canonical), and no size in a test. */
#define SCRIPT_VALUE_TAG 0x5c1b000000000000u
#define SCRIPT_VALUE_MASK 0xffff000000000000u

/* ---- the control page --------------------------------------------------------- */

/* What the test tells its puppets besides requests.  A memfd that only the test
 * can write (F_SEAL_FUTURE_WRITE); puppets and their children map it read-only:
 *
 *     struct control, at CONTROL_ADDRESS
 *     +-----------------------+------------+-----------------+---------------+
 *     | answers[0], ...       | armed[0]   | callback_nargs  | marks[0], ... |
 *     | (ticket, ...)         | [FAULT_..] | [0] ...         | nmarks        |
 *     +-----------------------+------------+-----------------+---------------+
 *
 * Which calls of a puppet to libc are armed stands here; what becomes of them,
 * and how many there were, is known to the test alone (test/faults.c). */
#define CONTROL_ADDRESS ((char *)0x1ff000000000)

/* A puppet, each of its threads and each of its forked children may ask at any
 * time.  The ticket is the asker's choice; it finds its answer among the
 * ANSWER_PLACES that begin at its tid % ANSWERS, and sleeps on `answered`. */
enum { ANSWERS = 4096, ANSWER_PLACES = 8 };

enum ask_phase { ASK_BEFORE, ASK_AFTER }; /* the call to libc */

enum answer_flags { ANSWER_FAIL = 1, ANSWER_SHORT = 2, ANSWER_ASK_AFTER = 4 };

struct answer {
    _Atomic uint64_t ticket;
    int32_t error;  /* ANSWER_FAIL: errno */
    uint32_t flags; /* enum answer_flags */
    uint64_t value; /* a callback's value; ANSWER_SHORT: bytes; mmap, shmat: an address or 0 */
};

/* What a puppet applies to a piece of the arena before its next request:
 * Memcheck's state of the bytes, or no access at all. */
enum mark_kind { MARK_DEFINED = 1, MARK_UNDEFINED, MARK_TRAP };
struct mark {
    uint32_t kind;
    uint32_t at, bytes; /* offset from ARENA_ADDRESS */
};

struct control {
    struct answer answers[ANSWERS];
    atomic_uint answered; /* a futex: grows with every answer */
    atomic_uchar armed[MAX_PUPPETS][FAULT_CALLS];
    atomic_uchar callback_nargs[MAX_CALLBACKS];
    struct mark marks[MAX_MARKS];
    atomic_uint nmarks;
};

#define CONTROL ((struct control *)CONTROL_ADDRESS)

_Static_assert(offsetof(struct frame, words) == 16 && sizeof(struct frame) == 192,
               "the frame is as drawn above");

#endif
