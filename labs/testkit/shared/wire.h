/* wire.h - the protocol between the test process and the puppet executable:
 * frames, the arena's address and its control page.  The test checks every
 * frame it receives; what it reads from the control page appears in
 * explanations and never affects a score.
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
    FRAME_TEXT_BYTES = 128,
    OBJECTS_BYTES = 32768,
    OWN_FDS = 500, /* descriptors from here on belong to the kit */
    MAX_PUPPETS = 64,
    MAX_MARKS = 4096,
    MAX_FAULTS = 64,
};

/* ---- frames --------------------------------------------------------------- */

/* The one message on every socket; each arrives complete (SOCK_SEQPACKET).
 *
 *     0        4        8                16                     64            192
 *     +--------+--------+----------------+----------------------+--------------+
 *     |  kind  | error  |     nonce      | words[0] .. words[5] |     text     |
 *     +--------+--------+----------------+----------------------+--------------+
 *
 * A reply repeats the nonce of its request.  A descriptor can go with a frame
 * (SCM_RIGHTS), and the kernel adds the sender's pid (SCM_CREDENTIALS):
 *
 *     test process                      puppet
 *       FRAME_CALL  "ring_put", words ---->   calls ring_put()
 *                   <---- FRAME_RETURNED  words[0]: value, error: errno
 */
struct frame {
    uint32_t kind;
    int32_t error;
    uint64_t nonce;
    uint64_t words[FRAME_WORDS];
    char text[FRAME_TEXT_BYTES];
};

enum frame_kind {
    /* requests to a puppet */
    FRAME_CALL = 1, /* text: function; words: arguments */
    FRAME_SCRIPT,   /* words: struct script_call *, count */
    FRAME_GIVE_FD,  /* words: number; SCM_RIGHTS: the descriptor */
    FRAME_CLOSE_FD, /* words: number */
    FRAME_EXEC,     /* words: char **argv */
    FRAME_END,      /* exit by _exit(0); no reply */
    /* replies of a puppet */
    FRAME_HELLO,          /* to its start, before the submission is loaded */
    FRAME_RETURNED,       /* words: value; error: errno */
    FRAME_REFUSED,        /* text: why the call was not made */
    FRAME_CHILD_RETURNED, /* a forked child returned from the function */
    /* requests to the fork server */
    FRAME_START,   /* words: slot, cpu or -1; SCM_RIGHTS: the arena */
    FRAME_WAIT,    /* words: pid; the reply comes when it has ended */
    FRAME_OBJECTS, /* reply: one text message of at most OBJECTS_BYTES */
    FRAME_SWEEP,   /* end all children */
    /* replies of the fork server */
    FRAME_STARTED, /* words: pid in the sandbox; SCM_RIGHTS: the socket */
    FRAME_WAITED,  /* words: status as waitpid stores it */
    FRAME_SWEPT,
    FRAME_FAILED, /* error: errno */
};

/* ---- the arena ------------------------------------------------------------- */

/* A memfd that the test and all puppets of a test map at one address.  The
 * address is free in a native process, under Valgrind and under
 * AddressSanitizer alike.
 *
 *     ARENA_ADDRESS                                            + ARENA_BYTES
 *     +--------------+-----+---------+-----+-----+-----------+--------+----
 *     | control page | red |  block  | red | red |   block   |  trap  | ...
 *     | (its slots,  |zone |"meta"   |zone |zone |"message"  |  page  |
 *     |  its marks)  |     |         |     |     |           |        |
 *     +--------------+-----+---------+-----+-----+-----------+--------+----
 *     |<-- shared -->|<-- shared with puppets, private in their forked children
 *
 * Blocks are handed out from low to high (arena_alloc() and others); a block
 * of arena_trap() ends at a page that puppets cannot touch. */
#define ARENA_ADDRESS ((char *)0x20000000)
#define ARENA_BYTES ((size_t)256 << 20)

/* ---- scripts ---------------------------------------------------------------- */

struct script_call { /* a script is an array of these in the arena */
    char function[40];
    uint64_t words[FRAME_WORDS];
    uint64_t value; /* written by the puppet */
    int32_t error;  /* written by the puppet */
    uint16_t nargs;
    uint16_t done; /* written by the puppet */
};

/* A word with this tag in a script stands for the return value of an earlier
 * call.  No pointer has it (it is not canonical), and no size in a test. */
#define SCRIPT_VALUE_TAG 0x5c1b000000000000u
#define SCRIPT_VALUE_MASK 0xffff000000000000u

/* ---- the control page --------------------------------------------------------- */

/* The test writes plans and marks, puppets write counters and flags:
 *
 *     struct control, at ARENA_ADDRESS
 *     +---------+---------+-- ... --+----------+------------------------+--------+
 *     | slot 0  | slot 1  |         | slot 63  | marks[0], marks[1] ... | nmarks |
 *     +---------+---------+-- ... --+----------+------------------------+--------+
 *       |
 *       +-- calls[FAULT_FORK] ...   how many such calls were made   (puppet)
 *           faults[0], ... nfaults  which of them fail, and how     (test)
 *           fired, delayed          what the plan has caused        (puppet)
 *           held, trapped           1: parked; 0: continue          (puppet; test)
 *
 * Each puppet has the slot of its number, which its forked children share.
 * Student code can write to all of it, so it never affects a score. */

/* What a puppet applies to a piece of the arena before its next request:
 * Memcheck's state of the bytes, or no access at all. */
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

struct slot {
    atomic_uint calls[FAULT_CALLS];
    struct fault faults[MAX_FAULTS];
    atomic_uint nfaults;
    atomic_uint fired;
    atomic_uint delayed; /* threads in a planned pause now */
    atomic_uint held;    /* parked behind a call until the test sets this to 0 */
    atomic_uint trapped; /* parked at a trap page, likewise */
    atomic_bool displace;
};

/* Pages of their own: the rest of the arena is private in forked children. */
struct control {
    _Alignas(4096) struct slot slots[MAX_PUPPETS];
    struct mark marks[MAX_MARKS];
    atomic_uint nmarks;
};

#define CONTROL ((struct control *)ARENA_ADDRESS)

_Static_assert(offsetof(struct frame, words) == 16 && sizeof(struct frame) == 192,
               "the frame is as drawn above");

#endif
