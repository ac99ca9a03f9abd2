/* wire.h - what the test process and the puppet executable agree on: frames,
 * the arena's address and its control page.  Neither side trusts the other
 * more than this file says: the test checks every frame it receives, and what
 * it reads from the control page explains, but never scores.
 */
#ifndef WIRE_H
#define WIRE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fault_calls.h"

/* A memfd, mapped at one address everywhere.  The address is free in a
 * native process, under Valgrind and under AddressSanitizer alike. */
#define ARENA_ADDRESS ((char *)0x20000000)
#define ARENA_BYTES ((size_t)256 << 20)

enum {
    FRAME_WORDS = 6,
    FRAME_TEXT_BYTES = 128,
    OWN_FDS = 500, /* descriptors from here on belong to the kit */
    MAX_PUPPETS = 64,
    MAX_MARKS = 4096,
    MAX_FAULTS = 64,
};

/* A value of this shape in a script stands for the result of an earlier call.
 * No pointer looks like it (not canonical), and no size a test would pass. */
#define SCRIPT_VALUE_TAG 0x5c1b000000000000u
#define SCRIPT_VALUE_MASK 0xffff000000000000u

enum frame_kind {
    /* to a puppet */
    FRAME_CALL = 1, /* text: function; words: arguments */
    FRAME_SCRIPT,   /* words: struct script_call *, count */
    FRAME_GIVE_FD,  /* words: number; SCM_RIGHTS: the descriptor */
    FRAME_CLOSE_FD, /* words: number */
    FRAME_EXEC,     /* words: char **argv */
    FRAME_END,      /* leave by _exit(0); no answer */
    /* from a puppet */
    FRAME_HELLO,          /* first of all, before the submission is loaded */
    FRAME_RETURNED,       /* words: value; error: errno */
    FRAME_REFUSED,        /* text: why the call was not made */
    FRAME_CHILD_RETURNED, /* a forked child came back out of the function */
    /* to the stage */
    FRAME_START,   /* words: slot, cpu or -1; SCM_RIGHTS: the arena */
    FRAME_WAIT,    /* words: pid; answer when it has ended */
    FRAME_OBJECTS, /* answer: one text message of at most OBJECTS_BYTES */
    FRAME_SWEEP,   /* end all children */
    /* from the stage */
    FRAME_STARTED, /* words: pid in the box; SCM_RIGHTS: the socket */
    FRAME_WAITED,  /* words: status word */
    FRAME_SWEPT,
    FRAME_FAILED, /* error: errno */
};

/* The one message on every socket, always whole (SOCK_SEQPACKET). */
struct frame {
    uint32_t kind;
    int32_t error;
    uint64_t nonce; /* an answer repeats the question's */
    uint64_t words[FRAME_WORDS];
    char text[FRAME_TEXT_BYTES];
};

enum { OBJECTS_BYTES = 32768 };

struct script_call {
    char function[40];
    uint64_t words[FRAME_WORDS];
    uint64_t value; /* written by the puppet */
    int32_t error;  /* written by the puppet */
    uint16_t nargs;
    uint16_t done; /* written by the puppet */
};

/* What a puppet does with a piece of the arena before its next call.  Memcheck
 * is blind in memory that it saw mapped, so it is told. */
enum mark_kind { MARK_DEFINED = 1, MARK_UNDEFINED, MARK_TRAP };
struct mark {
    uint32_t kind;
    uint32_t at, bytes; /* offset from ARENA_ADDRESS */
};

enum fault_kind { FAULT_FAIL = 1, FAULT_SHORT, FAULT_DELAY, FAULT_HOLD };
struct fault {
    uint32_t kind, call, nth;
    uint32_t reached; /* written by the puppet */
    int32_t error;
    uint64_t bytes, seed, max_us;
};

/* One puppet's part of the control page; its children share it. */
struct slot {
    atomic_uint calls[FAULT_CALLS];
    struct fault faults[MAX_FAULTS];
    atomic_uint nfaults;
    atomic_uint fired;
    atomic_uint delayed; /* in an injected pause now */
    atomic_uint held;    /* stands behind a call until the test sets this to 0 */
    atomic_uint trapped; /* stopped at a trap page */
    atomic_bool displace;
};

/* Pages of their own: the rest of the arena is private in forked children. */
struct control {
    _Alignas(4096) struct slot slots[MAX_PUPPETS];
    struct mark marks[MAX_MARKS];
    atomic_uint nmarks;
};

#define CONTROL ((struct control *)ARENA_ADDRESS)

#endif
