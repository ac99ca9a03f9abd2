/* test_hidden.c - the rest of lab 06: the start-up race, wrap-around against a
 * model, who wakes whom, death with the lock held, and the end of a ring. */
#define _GNU_SOURCE
#include <stdlib.h>

#include "test_support.h"

/* ---- opening ----------------------------------------------------------------- */

static void opening_with_another_capacity_is_einval_over(int backend)
{
    static const size_t others[] = {4088, 4104, 2048, 8192, RING_CAPACITY_MIN};
    const char *name = fresh_name(), *spsc = fresh_name();
    struct puppet *a = puppet_start();
    struct puppet *b = puppet_start();
    struct ring *in_a = OPENED(a, name, backend, 4096, RING_CREATE);
    struct ring *in_b;
    struct fd_info fds[64];
    size_t nfds;

    put_text(in_a, "unharmed");
    puppet_use(b);
    ring_close(NULL); /* loads the submission */
    nfds = process_fds(puppet_pid(b), fds, 64);
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
        assert_not_opened(ring_open(name, backend, others[i], 0), EINVAL);
        assert_not_opened(ring_open(name, backend, others[i], RING_CREATE), EINVAL);
    }
    assert_not_opened(ring_open(name, backend, 4096, RING_SPSC), EINVAL);
    assert_not_opened(ring_open(name, backend, 4096, RING_CREATE | RING_SPIN), EINVAL);
    assert_fds_are(puppet_pid(b), fds, nfds);
    assert_not_mapped(b, name, backend, "a ring_open that failed with EINVAL");
    in_b = OPENED(b, name, backend, 4096, 0);
    assert_next(in_b, "unharmed");
    ring_close(in_b);

    in_b = OPENED(b, spsc, backend, 64, RING_CREATE | RING_SPSC);
    assert_not_opened(ring_open(spsc, backend, 64, RING_CREATE), EINVAL);
    ring_destroy(spsc, backend);
    ring_destroy(name, backend);
}

TEST(opening_with_another_capacity_is_einval,
     "Opening with another capacity, smaller or larger, or with other RING_SPSC or RING_SPIN is "
     "EINVAL, does the ring no harm, and leaves nothing mapped or open.")
{
    opening_with_another_capacity_is_einval_over(RING_POSIX);
}

TEST(sysv_opening_with_another_capacity_is_einval,
     "System V: Opening with another capacity is EINVAL; shmget itself refuses a larger one "
     "only.")
{
    opening_with_another_capacity_is_einval_over(RING_SYSV);
}

TEST(sysv_another_name_under_the_same_key_is_eexist,
     "System V: Two names, however long, can have one key: the second is EEXIST to open, "
     "whatever its capacity, and ENOENT to destroy; the first is not harmed, nor is a POSIX ring "
     "of its name.")
{
    char *aa = arena_alloc("name", RING_NAME_MAX + 1), *bb = arena_alloc("name", RING_NAME_MAX + 1);
    char *too_long = arena_alloc("name", RING_NAME_MAX + 2);
    const char *stem = fresh_name();
    struct puppet *p = puppet_start();
    struct puppet *q = puppet_start();
    struct ring *r, *posix;

    memset(aa, '-', RING_NAME_MAX); /* as long as names may be */
    memcpy(aa, stem, strlen(stem));
    memcpy(bb, aa, RING_NAME_MAX);
    memcpy(aa + RING_NAME_MAX - 2, "Aa", 2);
    memcpy(bb + RING_NAME_MAX - 2, "BB", 2);
    memset(too_long, 'x', RING_NAME_MAX + 1);
    if (ring_key(aa) != ring_key(bb))
        testkit_broken("%s and %s were to have one key", aa, bb);

    puppet_use(p);
    assert_not_opened(ring_open(arena_string("a/b"), RING_SYSV, 64, RING_CREATE), EINVAL);
    assert_not_opened(ring_open(too_long, RING_SYSV, 64, RING_CREATE), ENAMETOOLONG);
    posix = OPENED(p, aa, RING_POSIX, 64, RING_CREATE);
    put_text(posix, "POSIX");
    r = OPENED(p, aa, RING_SYSV, 4096, RING_CREATE | RING_EXCL);
    assert_empty(r);
    put_text(r, "of Aa");
    puppet_use(q);
    assert_not_opened(ring_open(bb, RING_SYSV, 4096, 0), EEXIST);
    assert_not_opened(ring_open(bb, RING_SYSV, 4096, RING_CREATE), EEXIST);
    assert_not_opened(ring_open(bb, RING_SYSV, 64, RING_CREATE), EEXIST);
    assert_fails(ring_destroy(bb, RING_SYSV), ENOENT);
    assert_not_mapped(q, bb, RING_SYSV, "EEXIST and ENOENT for a ring of another name");
    puppet_use(p);
    assert_next(r, "of Aa");
    ring_close(r);
    r = OPENED(p, aa, RING_SYSV, 4096, 0);
    ring_close(r);
    assert_int_equal(ring_destroy(aa, RING_SYSV), 0);

    ring_close(posix); /* the other back end's ring is still there */
    posix = OPENED(p, aa, RING_POSIX, 64, 0);
    assert_next(posix, "POSIX");
    ring_close(posix);
    ring_destroy(aa, RING_POSIX);
}

/* One that opens while the maker stands in the middle of making. */
struct guest {
    struct puppet *puppet;
    unsigned flags;
    char *buf;
    bool wakes;  /* from an ordinary ring_get; if not, or if ring_close does */
    bool unmaps; /* not unmap, that is not judged here */
    bool early;  /* its ring_open came back while the maker still stood */
    struct ring *ring;
};

#define TWO_RINGS                                                                                  \
    "two processes opened one name at the same time, and a message that one of "                   \
    "them put is not there for the other"

static void finish_open(struct guest *g)
{
    g->ring = (struct ring *)finish_word(g->puppet);
    if (g->ring == NULL && (errno != ENOENT || g->flags & RING_CREATE))
        fail_msg("ring_open met a ring that was being made, and failed with %s",
                 strerrorname_np(errno));
}

/* What a guest does first with its ring: it puts a message for the maker, or
 * waits for one of him. */
static void begin_first(struct guest *g, bool puts)
{
    if (g->ring == NULL)
        return;
    if (puts)
        begin(g->puppet, ring_put(g->ring, g->buf, 5, -1));
    else
        begin(g->puppet, ring_get(g->ring, g->buf, 5, -1));
    puppet_settle(g->puppet);
}

/* Holds the maker right behind its nth call of that kind and lets the guests
 * open; false if it makes none.  A ring that somebody gets then must work at
 * once, and be the one that all get. */
static bool hold_the_maker(int backend, enum fault_call where, unsigned nth, bool puts,
                           struct puppet *maker, struct guest guests[2])
{
    const char *name = fresh_name();
    struct ring *made;
    bool held;

    fault_clear(maker);
    fault_hold(maker, where, nth);
    begin(maker, ring_open(name, backend, 4096, RING_CREATE));
    held = puppet_settle(maker) == PUPPET_HELD;
    if (held) {
        for (int i = 0; i < 2; i++)
            begin(guests[i].puppet, ring_open(name, backend, 4096, guests[i].flags));
        for (int i = 0; i < 2; i++) {
            struct guest *g = &guests[i];

            g->early = puppet_settle(g->puppet) == PUPPET_RETURNED;
            if (!g->early)
                continue;
            finish_open(g);
            begin_first(g, puts);
        }
        fault_release(maker);
        for (int i = 0; i < 2; i++)
            if (!guests[i].early) {
                finish_open(&guests[i]);
                begin_first(&guests[i], puts);
            }
    }
    made = (struct ring *)finish_word(maker);
    fault_clear(maker);
    if (made == NULL)
        fail_msg("ring_open failed with %s", strerrorname_np(errno));
    puppet_use(maker);
    if (held && !puts) { /* one more opens it, and must not harm those that sleep on it */
        struct ring *again = OPENED(maker, name, backend, 4096, RING_CREATE);

        ring_close(again);
    }
    for (int i = 0; held && !puts && i < 2; i++)
        if (guests[i].ring != NULL)
            put_text(made, "first");
    for (int i = 0; held && i < 2; i++) {
        struct guest *g = &guests[i];

        if (g->ring == NULL)
            continue;
        assert_goes_on(g->puppet, puts ? NO_ROOM_SEEN : TWO_RINGS);
        assert_int_equal(finish(g->puppet), puts ? 0 : 5);
        puppet_use(maker);
        if (puts && get_text(made) == NULL)
            fail_msg(TWO_RINGS);
        puppet_use(g->puppet);
        ring_close(g->ring);
        if (g->unmaps)
            assert_not_mapped(g->puppet, name, backend,
                              "ring_open met a ring that was being made, and ring_close");
    }
    puppet_use(maker);
    assert_empty(made);
    ring_close(made);
    ring_destroy(name, backend);
    return held;
}

static struct guest guest(int backend, unsigned flags, struct puppet *maker)
{
    const char *name = fresh_name();
    struct guest g = {.puppet = puppet_start(), .flags = flags, .buf = arena_alloc("buf", 8)};
    struct ring *r = OPENED(g.puppet, name, backend, 4096, RING_CREATE);
    struct ring *in_maker = OPENED(maker, name, backend, 4096, 0);

    begin(g.puppet, ring_get(r, g.buf, 5, -1));
    assert_waits(g.puppet);
    puppet_use(maker);
    put_text(in_maker, "first");
    g.wakes = puppet_settle(g.puppet) == PUPPET_RETURNED;
    if (!g.wakes)
        return g;
    finish(g.puppet);
    puppet_use(maker);
    ring_close(in_maker);
    puppet_use(g.puppet);
    ring_close(r);
    g.unmaps = !has_mapped(g.puppet, name, backend);
    ring_destroy(name, backend);
    return g;
}

enum { MOST_HOLDS = 4 }; /* of one kind */

static void nobody_gets_a_half_made_ring_over(int backend)
{
    static const enum fault_call calls[] = {
        FAULT_SHM_OPEN, FAULT_FTRUNCATE, FAULT_MMAP,   FAULT_SHMGET, FAULT_SHMAT,
        FAULT_SEM_INIT, FAULT_SEM_OPEN,  FAULT_SEMGET, FAULT_SEMCTL, FAULT_MUTEX_LOCK,
    };
    struct puppet *maker = puppet_start();
    struct guest guests[2] = {guest(backend, 0, maker), guest(backend, RING_CREATE, maker)};
    bool wake = guests[0].wakes && guests[1].wakes;

    for (int i = 0; i < 2; i++)
        if (!wake)
            guests[i].puppet = puppet_start();

    for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++)
        for (unsigned nth = 1; nth <= MOST_HOLDS; nth++)
            if (!hold_the_maker(backend, calls[i], nth, true, maker, guests) ||
                (wake && !hold_the_maker(backend, calls[i], nth, false, maker, guests)))
                break;
}

TEST(nobody_gets_a_half_made_ring,
     "However far its maker has come, ring_open never gives a ring that is not ready, all who "
     "open it get the same one, and those who looked too early leave nothing mapped.")
{
    nobody_gets_a_half_made_ring_over(RING_POSIX);
}

TEST(sysv_nobody_gets_a_half_made_ring,
     "System V: However far its maker has come, ring_open never gives a ring that is not ready, "
     "all who open it get the same one, and those who looked too early leave nothing attached.")
{
    nobody_gets_a_half_made_ring_over(RING_SYSV);
}

/* Plans one failure after the other, as long as there are such calls; opens a
 * ring that was made by another, or makes one if there is no maker. */
static void fail_each(int backend, struct puppet *a, struct puppet *maker, enum fault_call call,
                      int error)
{
    for (unsigned nth = 1;; nth++) {
        const char *name = fresh_name();
        struct fd_info fds[64];
        size_t nfds;
        struct ring *r, *made = NULL;
        char *before;
        int got;
        bool fired;

        if (maker != NULL) {
            made = OPENED(maker, name, backend, 4096, RING_CREATE);
            put_text(made, "safe");
        }
        puppet_use(a);
        ring_close(NULL); /* loads the submission */
        nfds = process_fds(puppet_pid(a), fds, 64);
        before = arena_string(leftovers());
        fault_clear(a);
        fault_fail(a, call, nth, error);
        r = ring_open(name, backend, 4096, maker != NULL ? 0 : RING_CREATE);
        got = errno;
        fired = fault_fired(a);
        fault_clear(a);
        if (r == NULL) {
            if (!fired || got != error)
                fail_msg("ring_open failed with %s where a call failed with %s",
                         strerrorname_np(got), strerrorname_np(error));
            assert_fds_are(puppet_pid(a), fds, nfds);
            assert_not_mapped(a, name, backend, "a ring_open that failed");
            if (strcmp(leftovers(), before) != 0)
                fail_msg("a ring_open that failed left something behind: %s", leftovers());
            r = OPENED(a, name, backend, 4096, maker != NULL ? 0 : RING_CREATE);
        }
        if (maker != NULL)
            assert_next(r, "safe");
        assert_empty(r);
        ring_close(r);
        ring_destroy(name, backend);
        if (maker != NULL) {
            puppet_use(maker);
            ring_close(made);
        }
        if (!fired)
            return;
    }
}

static void an_open_that_failed_leaves_nothing_behind_over(int backend)
{
    static const struct {
        enum fault_call call;
        int error;
    } faults[] = {
        {FAULT_SHM_OPEN, EMFILE}, {FAULT_FTRUNCATE, ENOSPC}, {FAULT_MMAP, ENOMEM},
        {FAULT_SHMGET, ENOSPC},   {FAULT_SHMAT, ENOMEM},     {FAULT_SEM_OPEN, ENOSPC},
        {FAULT_SEMGET, ENOSPC},   {FAULT_SHMCTL, EACCES},    {FAULT_SEMCTL, EACCES},
    };
    struct puppet *a = puppet_start();
    struct puppet *maker = puppet_start();

    for (size_t i = 0; i < sizeof(faults) / sizeof(*faults); i++) {
        fail_each(backend, a, NULL, faults[i].call, faults[i].error);
        fail_each(backend, a, maker, faults[i].call, faults[i].error);
    }
}

TEST(an_open_that_failed_leaves_nothing_behind,
     "When a system call in ring_open fails, ring_open gives NULL with its errno, leaves nothing "
     "(object, semaphore, lock file, descriptor), and the next ring_open works.")
{
    an_open_that_failed_leaves_nothing_behind_over(RING_POSIX);
}

TEST(sysv_an_open_that_failed_leaves_nothing_behind,
     "System V: When a system call in ring_open fails, ring_open gives NULL with its errno, "
     "leaves nothing (segment, semaphore, lock file), and the next ring_open works.")
{
    an_open_that_failed_leaves_nothing_behind_over(RING_SYSV);
}

/* ---- messages ------------------------------------------------------------------ */

TEST(a_message_goes_over_the_end_and_on_at_the_beginning,
     "A message of any length may begin anywhere in the ring and go on at its beginning.")
{
    const size_t huge = 100001;
    const char *name = fresh_name();
    struct ring *r = OPENED(puppet_start(), name, RING_POSIX, 88, RING_CREATE);
    unsigned char *message = arena_alloc("message", 80);
    unsigned char *buf = arena_out("buf", 80);

    /* Each length at every place where it can begin. */
    for (size_t len = 0; len <= 72; len += 4)
        for (size_t shift = 0; shift < 88; shift += 8) {
            fill(message, len, len + shift);
            assert_int_equal(ring_put(r, message, len, 0), 0);
            assert_int_equal(ring_get(r, buf, 80, 0), len);
            assert_memory_equal(buf, message, len);
            assert_int_equal(ring_put(r, NULL, 0, 0), 0); /* 8 bytes on */
            assert_int_equal(ring_get(r, buf, 80, 0), 0);
            if (RING_COST(len) + 16 <= 80) {
                put_text(r, "in front");
                assert_int_equal(ring_put(r, message, len, 0), 0);
                assert_next(r, "in front");
                assert_int_equal(ring_get(r, buf, 80, 0), len);
                assert_memory_equal(buf, message, len);
            }
        }
    ring_close(r);
    ring_destroy(name, RING_POSIX);

    /* And one that is longer than any buffer, or 16 bits, may count on. */
    name = fresh_name();
    r = OPENED(puppet_current(), name, RING_POSIX, RING_COST(huge) + 8, RING_CREATE);
    message = arena_alloc("message", huge);
    buf = arena_out("buf", huge);
    put_text(r, "in front");
    assert_next(r, "in front");
    fill(message, huge, 1);
    assert_int_equal(ring_put(r, message, huge, 0), 0);
    assert_int_equal(ring_get(r, buf, huge, 0), huge);
    assert_memory_equal(buf, message, huge);
    ring_close(r);
    ring_destroy(name, RING_POSIX);
}

/* ---- a model: a queue of lengths that counts its bytes ---- */

enum { OPS = 400, OP_BYTES = 96 };

struct op {
    bool put;
    size_t len;    /* of the message, or of the buffer */
    uint64_t seed; /* of the message's bytes */
};

static void random_ops(struct op *ops, size_t n, size_t capacity, uint64_t *seed)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t x = random_next(seed);

        ops[i].put = x >> 63;
        ops[i].len = (x >> 32) % (capacity - 8 < OP_BYTES ? capacity - 6 : OP_BYTES);
        if (!ops[i].put && (x >> 20) % 4 != 0)
            ops[i].len = OP_BYTES;
        ops[i].seed = x;
    }
}

/* Runs the calls on a new ring and gives the number of the first one that did
 * not do as the model, or n. */
static size_t run_ops(const struct op *ops, size_t n, size_t capacity, char *why, size_t size)
{
    const char *name = fresh_name();
    struct ring *r = OPENED(puppet_current(), name, RING_POSIX, capacity, RING_CREATE);
    struct script *s = script_new(n);
    unsigned char *bytes = arena_out("messages", n * OP_BYTES);
    unsigned char *copy = malloc(n * OP_BYTES);
    size_t used = 0, first = 0, wrong;

    for (size_t i = 0; i < n; i++) {
        unsigned char *at = bytes + i * OP_BYTES;

        if (ops[i].put) {
            fill(at, ops[i].len, ops[i].seed);
            RECORD(s, ring_put(r, at, ops[i].len, 0));
        } else {
            RECORD(s, ring_get(r, at, ops[i].len, 0));
        }
    }
    script_run(s);
    memcpy(copy, bytes, n * OP_BYTES);

    for (wrong = 0; wrong < n; wrong++) {
        const struct op *op = &ops[wrong], *oldest;
        int64_t value = (int64_t)script_result(s, wrong), expected = 0;
        int error = 0;
        unsigned char message[OP_BYTES];

        while (first < wrong && !(ops[first].put && script_result(s, first) == 0))
            first++; /* to the oldest message that is still in the ring */
        oldest = &ops[first];
        if (op->put)
            error = RING_COST(op->len) > capacity          ? EMSGSIZE
                    : RING_COST(op->len) > capacity - used ? ETIMEDOUT
                                                           : 0;
        else
            error = used == 0 ? ETIMEDOUT : oldest->len > op->len ? EMSGSIZE : 0;
        if (error != 0)
            expected = -1;
        else if (!op->put)
            expected = (int64_t)oldest->len;
        if (op->put)
            value = (int)value;
        if (value != expected ||
            (error != 0 && (error == EMSGSIZE) != (script_errno(s, wrong) == EMSGSIZE))) {
            snprintf(why, size, "gave %lld (%s), not %lld (%s)", (long long)value,
                     value < 0 ? strerrorname_np(script_errno(s, wrong)) : "no error",
                     (long long)expected, error ? strerrorname_np(error) : "no error");
            break;
        }
        if (error != 0)
            continue;
        if (op->put) {
            used += RING_COST(op->len);
            continue;
        }
        fill(message, oldest->len, oldest->seed);
        if (memcmp(message, copy + wrong * OP_BYTES, oldest->len) != 0) {
            snprintf(why, size, "gave a message of %zu bytes with other bytes than were put",
                     oldest->len);
            break;
        }
        used -= RING_COST(oldest->len);
        first++;
    }
    free(copy);
    ring_close(r);
    ring_destroy(name, RING_POSIX);
    return wrong;
}

/* Leaves out what can be left out, so that the failure still shows. */
static void shrink(struct op *ops, size_t n, size_t capacity)
{
    char text[4096] = "", why[160];
    size_t used = 0;

    for (size_t i = n; i-- > 0;) {
        struct op shorter[OPS];
        size_t wrong;

        memcpy(shorter, ops, i * sizeof(*ops));
        memcpy(shorter + i, ops + i + 1, (n - i - 1) * sizeof(*ops));
        if (n == 1 || (wrong = run_ops(shorter, n - 1, capacity, why, sizeof(why))) == n - 1)
            continue;
        memcpy(ops, shorter, (n - 1) * sizeof(*ops));
        n = wrong + 1;
        if (i > n)
            i = n;
    }
    run_ops(ops, n, capacity, why, sizeof(why));
    for (size_t i = 0; i < n && used < sizeof(text) - 64; i++)
        used += (size_t)snprintf(text + used, sizeof(text) - used, "%s%s %zu", i ? ", " : "",
                                 ops[i].put ? "put" : "get", ops[i].len);
    fail_msg("in a ring of %zu bytes: %s: the last one %s", capacity, text, why);
}

TEST(random_calls_agree_with_a_model,
     "Random puts and gets do what a queue that counts its bytes would do.")
{
    static const size_t capacities[] = {16, 64, 104, 256};
    uint64_t seed = testkit_seed();
    struct op ops[OPS];
    char why[160];

    puppet_start();
    for (size_t i = 0; i < sizeof(capacities) / sizeof(*capacities); i++) {
        size_t wrong;

        random_ops(ops, OPS, capacities[i], &seed);
        wrong = run_ops(ops, OPS, capacities[i], why, sizeof(why));
        if (wrong < OPS)
            shrink(ops, wrong + 1, capacities[i]);
    }
}

/* ---- many processes ---- */

enum { MESSAGES = 150, MOST_BYTES = 64 };

struct stamp {
    uint32_t producer, number;
};

static size_t stamped_bytes(struct stamp s)
{
    return sizeof(s) + (s.producer * 7 + s.number * 13) % (MOST_BYTES - sizeof(s));
}

static void stamp(unsigned char *message, struct stamp s)
{
    fill(message, stamped_bytes(s), s.producer * 100000 + s.number);
    memcpy(message, &s, sizeof(s));
}

/* Whose message this is; fails unless it is whole. */
static struct stamp check_stamp(const unsigned char *message, size_t len, unsigned producers)
{
    unsigned char expected[MOST_BYTES];
    struct stamp s;

    if (len < sizeof(s) || len > MOST_BYTES)
        fail_msg("a message of %zu bytes came out, and none of that length was put", len);
    memcpy(&s, message, sizeof(s));
    if (s.producer >= producers || s.number >= MESSAGES || len != stamped_bytes(s))
        fail_msg("a message came out that nobody put");
    stamp(expected, s);
    if (memcmp(expected, message, len) != 0)
        fail_msg("a message came out that was not whole");
    return s;
}

struct worker {
    struct puppet *puppet;
    struct script *script;
    unsigned char *bytes;
};

static struct worker worker(const char *name, int backend, size_t capacity, unsigned flags,
                            bool puts, unsigned number, unsigned calls)
{
    struct worker w = {.puppet = puppet_start(), .script = script_new(calls)};
    struct ring *r = OPENED(w.puppet, name, backend, capacity, flags);

    w.bytes = puts ? arena_alloc("messages", calls * MOST_BYTES)
                   : arena_out("messages", calls * MOST_BYTES);
    for (unsigned i = 0; i < calls; i++) {
        unsigned char *at = w.bytes + i * MOST_BYTES;
        struct stamp s = {number, i};

        if (puts) {
            stamp(at, s);
            RECORD(w.script, ring_put(r, at, stamped_bytes(s), -1));
        } else {
            RECORD(w.script, ring_get(r, at, MOST_BYTES, -1));
        }
    }
    return w;
}

/* Makes a puppet dawdle with the lock in its hands, so that the others come
 * to wait for it. */
static void dawdle(struct puppet *p)
{
    fault_delay(p, FAULT_MUTEX_UNLOCK, testkit_seed(), 100);
    fault_delay(p, FAULT_SEM_POST, testkit_seed(), 100);
    fault_delay(p, FAULT_SEMOP, testkit_seed(), 100);
}

/* n producers and n consumers, all at once: every message exactly once, and
 * those of one producer in order at every consumer. */
static void exchange(int backend, size_t capacity, unsigned flags, unsigned n)
{
    const char *name = fresh_name();
    unsigned char seen[4][MESSAGES] = {{0}};
    struct worker producers[4], consumers[4];
    struct ring *r;

    puppets_use_all_cpus();
    r = OPENED(puppet_start(), name, backend, capacity, flags | RING_CREATE);
    for (unsigned i = 0; i < n; i++) {
        producers[i] = worker(name, backend, capacity, flags, true, i, MESSAGES);
        consumers[i] = worker(name, backend, capacity, flags, false, i, MESSAGES);
    }
    dawdle(consumers[n - 1].puppet);
    if (n > 1) /* or else the ring would be seldom full */
        dawdle(producers[0].puppet);
    for (unsigned i = 0; i < n; i++) {
        script_start(producers[i].puppet, producers[i].script);
        script_start(consumers[i].puppet, consumers[i].script);
    }
    for (unsigned i = 0; i < n; i++) {
        script_finish(producers[i].puppet, producers[i].script);
        script_finish(consumers[i].puppet, consumers[i].script);
    }
    for (unsigned i = 0; i < n; i++) {
        uint32_t next[4] = {0};

        for (unsigned k = 0; k < MESSAGES; k++) {
            unsigned char message[MOST_BYTES];
            struct stamp s;

            assert_int_equal((int)script_result(producers[i].script, k), 0);
            memcpy(message, consumers[i].bytes + k * MOST_BYTES, MOST_BYTES);
            s = check_stamp(message, script_result(consumers[i].script, k), n);
            if (seen[s.producer][s.number]++)
                fail_msg("message %u of producer %u came out twice", s.number, s.producer);
            if (s.number < next[s.producer])
                fail_msg("message %u of producer %u came out after a later one", s.number,
                         s.producer);
            next[s.producer] = s.number + 1;
        }
    }
    r = OPENED(consumers[0].puppet, name, backend, capacity, flags);
    assert_empty(r);
    ring_destroy(name, backend);
}

static void four_producers_and_four_consumers_lose_nothing_over(int backend)
{
    exchange(backend, 256, 0, 4);
}

TEST(four_producers_and_four_consumers_lose_nothing,
     "Four producers and four consumers at once: every message exactly once, whole, and those of "
     "one producer in order.")
{
    four_producers_and_four_consumers_lose_nothing_over(RING_POSIX);
}

TEST(sysv_four_producers_and_four_consumers_lose_nothing,
     "System V: Four producers and four consumers at once: every message exactly once, whole, "
     "and those of one producer in order.")
{
    four_producers_and_four_consumers_lose_nothing_over(RING_SYSV);
}

static void the_ring_may_lie_at_another_address_in_every_process_over(int backend)
{
    const char *name = fresh_name();
    struct puppet *a = puppet_start();
    struct puppet *b = puppet_start();
    struct ring *in_a, *in_b, *again;

    fault_displace_maps(a);
    fault_displace_maps(b);
    in_a = OPENED(a, name, backend, 64, RING_CREATE);
    in_b = OPENED(b, name, backend, 64, 0);
    for (int round = 0; round < 5; round++) {
        puppet_use(a);
        put_text(in_a, "from a, over the end");
        puppet_use(b);
        assert_next(in_b, "from a, over the end");
        put_text(in_b, "from b");
        puppet_use(a);
        assert_next(in_a, "from b");
    }
    puppet_use(a);
    again = OPENED(a, name, backend, 64, 0); /* twice in one process */
    put_text(again, "once more");
    puppet_use(b);
    assert_next(in_b, "once more");
    puppet_use(a);
    ring_close(again);
    put_text(in_a, "the first is still open");
    puppet_use(b);
    assert_next(in_b, "the first is still open");
    ring_destroy(name, backend);
}

TEST(the_ring_may_lie_at_another_address_in_every_process,
     "The ring works at another address in every process: there are no pointers in it.")
{
    the_ring_may_lie_at_another_address_in_every_process_over(RING_POSIX);
}

TEST(sysv_the_ring_may_lie_at_another_address_in_every_process,
     "System V: The ring works at another address in every process: there are no pointers in it.")
{
    the_ring_may_lie_at_another_address_in_every_process_over(RING_SYSV);
}

/* ---- waiting --------------------------------------------------------------------- */

static void assert_sleeps(struct puppet *p, bool has_timeout)
{
    if (has_timeout)
        assert_blocked_with_timeout(p);
    else
        assert_blocked(p);
}

static void put_sleeps_until_there_is_room_over(int backend)
{
    static const char longer[] = "as long as two of them.";
    const char *name = fresh_name();
    struct puppet *a = puppet_start();
    struct puppet *b = puppet_start();
    struct ring *in_a = OPENED(a, name, backend, 64, RING_CREATE);
    struct ring *in_b = OPENED(b, name, backend, 64, 0);

    for (int round = 0; round < 2; round++) {
        int n;

        puppet_use(a);
        n = fill_up(in_a);
        begin(b, ring_put(in_b, arena_string(longer), strlen(longer), round == 0 ? -1 : 1000000));
        assert_sleeps(b, round != 0);
        puppet_use(a);
        assert_next(in_a, "filling"); /* room for 16 bytes, and 32 are wanted */
        assert_sleeps(b, round != 0);
        puppet_use(a);
        assert_next(in_a, "filling");
        assert_goes_on(b, NO_ROOM_SEEN);
        assert_int_equal(finish(b), 0);
        puppet_use(a);
        while (n-- > 2)
            assert_next(in_a, "filling");
        assert_next(in_a, longer);
    }
    if (backend == RING_SYSV) { /* the other one has a test for it */
        assert_times_out(in_a, false);
        fill_up(in_a);
        assert_times_out(in_a, true);
    }
    ring_destroy(name, backend);
}

TEST(put_sleeps_until_there_is_room,
     "ring_put on a full ring, with a timeout and without, sleeps, lets others take messages "
     "meanwhile, and is woken when its message fits.")
{
    put_sleeps_until_there_is_room_over(RING_POSIX);
}

TEST(sysv_put_sleeps_until_there_is_room,
     "System V: ring_put on a full ring, with a timeout and without, sleeps, lets others take "
     "messages meanwhile, and is woken when its message fits; when it is time it is ETIMEDOUT.")
{
    put_sleeps_until_there_is_room_over(RING_SYSV);
}

static char state_of(const struct puppet *p)
{
    char path[32], text[512];
    const char *after_name;
    FILE *f;
    size_t n;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)puppet_pid(p));
    f = fopen(path, "r");
    if (f == NULL)
        return 'X';
    n = fread(text, 1, sizeof(text) - 1, f);
    fclose(f);
    text[n] = '\0';
    after_name = strrchr(text, ')');
    return after_name != NULL && after_name[1] != '\0' ? after_name[2] : 'X';
}

static void signal_puppet(const struct puppet *p, int signal)
{
    if (kill(puppet_pid(p), signal) < 0 && errno != ESRCH)
        testkit_broken("cannot send a signal to a puppet: %s", strerror(errno));
}

static void stop(const struct puppet *p)
{
    signal_puppet(p, SIGSTOP);
    WAIT_UNTIL(state_of(p) == 'T');
}

struct bystander {
    struct puppet *puppet;
    struct ring *ring;
    char *buf;
};

/* Which of two calls is over; one that polls may take its time. */
static int first_to_return(struct puppet *p[2])
{
    struct deadline until = deadline_start();

    do {
        enum puppet_state states[2] = {puppet_settle(p[0]), puppet_settle(p[1])};

        for (int i = 0; i < 2; i++)
            if (states[i] == PUPPET_RETURNED)
                return i;
        if (states[0] == PUPPET_BLOCKED && states[1] == PUPPET_BLOCKED)
            break;
    } while (deadline_look_again(&until));
    fail_msg(NO_MESSAGE_SEEN);
    return 0;
}

/* Two wait for a message, without a timeout and with: the first message is for one of
 * them, and the other goes on waiting; two that come before they are awake
 * are for both. */
static void two_wait_for_messages(const char *name, struct puppet *a, struct ring *in_a)
{
    struct puppet *p[2];
    struct ring *r[2];
    char *buf[2];

    for (int i = 0; i < 2; i++) {
        p[i] = puppet_start();
        r[i] = OPENED(p[i], name, RING_POSIX, 128, 0);
        buf[i] = arena_out("buf", 16);
    }
    for (int timed = 0; timed < 2; timed++) {
        int first;

        for (int i = 0; i < 2; i++) {
            begin(p[i], ring_get(r[i], buf[i], 16, timed ? 1000000 : -1));
            assert_waits(p[i]);
        }
        puppet_use(a);
        put_text(in_a, "for one");
        first = first_to_return(p);
        assert_int_equal(finish(p[first]), 7);
        assert_memory_equal(buf[first], "for one", 7);
        assert_waits(p[!first]);
        puppet_use(a);
        put_text(in_a, "another");
        assert_goes_on(p[!first], NO_MESSAGE_SEEN);
        assert_int_equal(finish(p[!first]), 7);
        assert_memory_equal(buf[!first], "another", 7);

        for (int i = 0; i < 2; i++) {
            begin(p[i], ring_get(r[i], buf[i], 16, timed ? 1000000 : -1));
            assert_waits(p[i]);
            stop(p[i]);
        }
        puppet_use(a);
        put_text(in_a, "one");
        put_text(in_a, "two");
        for (int i = 0; i < 2; i++) {
            signal_puppet(p[i], SIGCONT);
            WAIT_UNTIL(state_of(p[i]) != 'T');
        }
        for (int i = 0; i < 2; i++) {
            assert_goes_on(p[i], NO_MESSAGE_SEEN);
            assert_int_equal(finish(p[i]), 3);
        }
    }
}

/* Holds one that waits, for a message or for room, right behind its nth call
 * of that kind, brings about what it waits for, and lets it go on; false if
 * it fell asleep before.  Whoever looks, gives the lock away and then falls
 * asleep, as a call that nobody wakes any more, is found out here. */
static bool hold_the_waiter(bool puts, int timeout_ms, enum fault_call where, unsigned nth,
                            struct bystander *a, struct bystander *b)
{
    struct puppet *waiter = b->puppet, *waker = a->puppet;
    bool held;
    int n = 0;

    puppet_use(waker);
    if (puts)
        n = fill_up(a->ring);
    fault_clear(waiter);
    fault_hold(waiter, where, nth);
    if (puts)
        begin(waiter, ring_put(b->ring, b->buf, 7, timeout_ms));
    else
        begin(waiter, ring_get(b->ring, b->buf, 16, timeout_ms));
    held = puppet_settle(waiter) == PUPPET_HELD;
    if (puts)
        begin(waker, ring_get(a->ring, a->buf, 16, -1));
    else
        begin(waker, ring_put(a->ring, a->buf, 7, -1));
    puppet_settle(waker); /* it may need what the one that is held has locked */
    fault_release(waiter);
    assert_int_equal(finish(waker), puts ? 7 : 0);
    assert_goes_on(waiter, puts ? NO_ROOM_SEEN : NO_MESSAGE_SEEN);
    assert_int_equal(finish(waiter), puts ? 0 : 7);
    fault_clear(waiter);
    for (puppet_use(waker); n > 0; n--)
        if (get_text(a->ring) == NULL)
            fail_msg("a message that was put is not there");
    assert_empty(a->ring);
    return held;
}

static void nobody_is_woken_before_he_sleeps(const char *name)
{
    static const enum fault_call calls[] = {FAULT_MUTEX_LOCK, FAULT_MUTEX_UNLOCK, FAULT_SEM_WAIT,
                                            FAULT_SEM_POST, FAULT_SEMOP};
    struct bystander a = {.puppet = puppet_start(), .buf = arena_alloc("waker", 16)};
    struct bystander b = {.puppet = puppet_start(), .buf = arena_alloc("waiter", 16)};
    bool sleeps;

    a.ring = OPENED(a.puppet, name, RING_POSIX, 128, 0);
    b.ring = OPENED(b.puppet, name, RING_POSIX, 128, 0);
    begin(b.puppet, ring_get(b.ring, b.buf, 16, -1));
    sleeps = puppet_settle(b.puppet) == PUPPET_BLOCKED;
    puppet_use(a.puppet);
    put_text(a.ring, "wake up");
    assert_int_equal(finish(b.puppet), 7);
    if (!sleeps) /* and needs no wake-up, which other tests judge */
        return;
    for (int way = 0; way < 4; way++)
        for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++)
            for (unsigned nth = 1; nth <= MOST_HOLDS; nth++)
                if (!hold_the_waiter(way % 2, way < 2 ? -1 : 1000000, calls[i], nth, &a, &b))
                    break;
}

TEST(a_wake_up_is_not_lost_on_one_who_cannot_use_it,
     "Whoever can go on is woken, also when another who cannot (more room wanted, too small a "
     "buffer, faster) waited before, and when the message or the room comes between a look and "
     "the sleep.")
{
    const char *name = fresh_name();
    struct puppet *a = puppet_start();
    struct puppet *b = puppet_start();
    struct puppet *c = puppet_start();
    struct ring *in_a = OPENED(a, name, RING_POSIX, 128, RING_CREATE);
    struct ring *in_b = OPENED(b, name, RING_POSIX, 128, 0);
    struct ring *in_c = OPENED(c, name, RING_POSIX, 128, 0);
    char *small = arena_out("small", 4), *large = arena_out("large", 128);
    unsigned char *message = arena_alloc("message", 80);
    bool b_is_done;
    int n;

    /* Room for the one who came second, and not for the first. */
    puppet_use(a);
    n = fill_up(in_a);
    begin(b, ring_put(in_b, message, 80, -1));
    assert_waits(b);
    begin(c, ring_put(in_c, message, 8, -1));
    assert_waits(c);
    puppet_use(a);
    assert_next(in_a, "filling");
    assert_goes_on(c, "a ring_put whose message fits still waits: another that waits for more "
                      "room was woken instead");
    assert_int_equal(finish(c), 0);
    assert_waits(b);
    puppet_use(a);
    while (--n > 0)
        assert_next(in_a, "filling");
    assert_int_equal(ring_get(in_a, large, 128, -1), 8);
    assert_goes_on(b, NO_ROOM_SEEN);
    assert_int_equal(finish(b), 0);
    puppet_use(a);
    assert_int_equal(ring_get(in_a, large, 128, -1), 80);

    /* A message that is too long for the one who came first, and who has a
     * good look at it before the other wakes up. */
    begin(b, ring_get(in_b, small, 4, -1));
    assert_waits(b);
    begin(c, ring_get(in_c, large, 128, -1));
    assert_waits(c);
    stop(c);
    puppet_use(a);
    put_text(in_a, "too long");
    b_is_done = puppet_settle(b) == PUPPET_RETURNED;
    if (b_is_done)
        assert_int_equal(finish(b), -1);
    signal_puppet(c, SIGCONT);
    WAIT_UNTIL(state_of(c) != 'T');
    assert_goes_on(c, "ring_get still waits, and there is a message: another with too small a "
                      "buffer was woken, and left it");
    assert_int_equal(finish(c), 8);
    if (!b_is_done) {
        puppet_use(a);
        put_text(in_a, "now");
        if (finish(b) != 3 && errno != EMSGSIZE)
            fail_msg("ring_get failed with %s", strerrorname_np(errno));
    }
    while (puppet_use(a), get_text(in_a) != NULL)
        continue;
    two_wait_for_messages(name, a, in_a);
    nobody_is_woken_before_he_sleeps(name);
    ring_destroy(name, RING_POSIX);
}

static void a_signal_does_not_end_a_wait_over(int backend)
{
    const char *name = fresh_name();
    struct puppet *a = puppet_start();
    char *buf = arena_out("buf", 8);

    OPENED(a, name, backend, 64, RING_CREATE);
    for (int round = 0; round < 4; round++) {
        struct puppet *p = puppet_start();
        struct ring *r = OPENED(p, name, backend, 64, 0);

        fault_clear(p);
        if (round >= 2) {
            fault_fail(p, FAULT_SEM_WAIT, 1, EINTR);
            fault_fail(p, FAULT_SEMOP, 1, EINTR);
        }
        begin(p, ring_get(r, buf, 8, round % 2 == 0 ? -1 : 1000000));
        assert_waits(p);
        /* Some calls that wait in the kernel fail with EINTR when a process
         * was stopped and goes on, although no handler ran. */
        stop(p);
        signal_puppet(p, SIGCONT);
        assert_waits(p);
        puppet_kill(p);
    }
    puppet_use(a);
    ring_destroy(name, backend);
}

TEST(a_signal_does_not_end_a_wait,
     "A process that was stopped and goes on, or whose system call gave EINTR, goes on waiting.")
{
    a_signal_does_not_end_a_wait_over(RING_POSIX);
}

TEST(sysv_a_signal_does_not_end_a_wait,
     "System V: A process that was stopped and goes on, or whose system call gave EINTR, goes on "
     "waiting.")
{
    a_signal_does_not_end_a_wait_over(RING_SYSV);
}

/* ---- copies that others meet in the middle ---------------------------------------- */

/* More than memcpy keeps in registers; the copy stops after the first part. */
enum { LONG_BYTES = 4000, LONG_BEFORE_TRAP = 1000 };

static void assert_long(const unsigned char *buf, ssize_t len, uint64_t seed, const char *what)
{
    unsigned char expected[LONG_BYTES];

    fill(expected, LONG_BYTES, seed);
    if (len != LONG_BYTES || memcmp(buf, expected, LONG_BYTES) != 0)
        fail_msg("%s did not come out as it was put", what);
}

static void putters_do_not_mix_over(int backend, unsigned flags)
{
    const char *name = fresh_name();
    struct puppet *a = puppet_start();
    struct puppet *b = puppet_start();
    struct ring *in_a = OPENED(a, name, backend, 16384, RING_CREATE | flags);
    struct ring *in_b = OPENED(b, name, backend, 16384, flags);
    unsigned char *first = arena_trap("first", LONG_BEFORE_TRAP);
    unsigned char *third = arena_trap("third", LONG_BEFORE_TRAP);
    unsigned char *second = arena_alloc("second", LONG_BYTES);
    unsigned char *buf = arena_out("buf", LONG_BYTES);
    int one, len;

    fill(first, LONG_BYTES, 1);
    fill(second, LONG_BYTES, 2);
    begin(a, ring_put(in_a, first, LONG_BYTES, -1));
    assert_trapped(a);
    begin(b, ring_put(in_b, second, LONG_BYTES, 0)); /* there is room */
    puppet_settle(b);
    trap_release(a);
    assert_int_equal(finish(a), 0);
    if (finish(b) != 0)
        fail_msg("there is room, another process is in the middle of ring_put, and ring_put "
                 "with a timeout of 0 failed with %s",
                 strerrorname_np(errno));

    begin(a, ring_get(in_a, third, LONG_BYTES, -1));
    assert_trapped(a);
    begin(b, ring_get(in_b, buf, LONG_BYTES, 0)); /* there are two */
    puppet_settle(b);
    trap_release(a);
    assert_int_equal(finish(a), LONG_BYTES);
    len = finish(b);
    if (len < 0)
        fail_msg("there is a message, another process is in the middle of ring_get, and ring_get "
                 "with a timeout of 0 failed with %s",
                 strerrorname_np(errno));
    one = third[0] == first[0] ? 1 : 2; /* either may be the older one */
    assert_long(third, LONG_BYTES, (uint64_t)one, "one of two messages that were put together");
    assert_long(buf, len, (uint64_t)(3 - one), "the other of two messages that were put together");
    puppet_use(a);
    assert_empty(in_a);
    ring_destroy(name, backend);
}

TEST(putters_do_not_mix,
     "Two processes in ring_put or in ring_get at once, with RING_SPIN and without: both "
     "messages come out whole, each once; one that has the ring locked makes no timeout of 0 "
     "fail.")
{
    putters_do_not_mix_over(RING_POSIX, 0);
    putters_do_not_mix_over(RING_POSIX, RING_SPIN);
}

/* Another waits for the room of the message that is being copied out. */
static void room_is_free_when_the_message_is_out_over(int backend, unsigned flags)
{
    const size_t capacity = 2 * RING_COST(LONG_BYTES) + 8; /* two, and not a third */
    const char *name = fresh_name();
    struct puppet *a = puppet_start();
    struct puppet *b = puppet_start();
    struct ring *in_a = OPENED(a, name, backend, capacity, flags | RING_CREATE);
    struct ring *in_b = OPENED(b, name, backend, capacity, flags);
    unsigned char *buf = arena_trap("buf", LONG_BEFORE_TRAP);
    unsigned char *message = arena_alloc("message", LONG_BYTES);

    for (uint64_t seed = 1; seed <= 2; seed++) {
        fill(message, LONG_BYTES, seed);
        assert_int_equal(ring_put(in_b, message, LONG_BYTES, 0), 0);
    }
    fill(message, LONG_BYTES, 3);
    begin(a, ring_get(in_a, buf, LONG_BYTES, -1));
    assert_trapped(a);
    begin(b, ring_put(in_b, message, LONG_BYTES, -1));
    puppet_settle(b);
    trap_release(a);
    assert_long(buf, finish(a), 1, "a message whose room another waited for");
    assert_int_equal(finish(b), 0);

    puppet_use(a);
    for (uint64_t seed = 2; seed <= 3; seed++)
        assert_long(buf, ring_get(in_a, buf, LONG_BYTES, 0), seed, "a later message");
    assert_empty(in_a);
    ring_destroy(name, backend);
}

TEST(room_is_free_when_the_message_is_out,
     "On a full ring a message is copied out whole before a waiting ring_put gets its room.")
{
    room_is_free_when_the_message_is_out_over(RING_POSIX, 0);
}

TEST(sysv_copies_do_not_mix,
     "System V: Two processes in ring_put or ring_get at once, and a ring_put that waits for the "
     "room of a message that is being copied out: all messages come out whole, each once.")
{
    putters_do_not_mix_over(RING_SYSV, 0);
    room_is_free_when_the_message_is_out_over(RING_SYSV, 0);
}

/* ---- death ------------------------------------------------------------------------ */

#define STILL_HELD "it waits for a process that was killed in the middle of a call"
#define ROOM_LOST "the ring takes less than before a process died in it"

/* Kills a process, which has put one message if it is given one, in the
 * middle of copying another in. */
static void die_in_put(const char *name, int backend, size_t capacity, unsigned flags,
                       const char *before, void (*meanwhile)(void *), void *arg)
{
    struct puppet *p = puppet_start();
    struct ring *r = OPENED(p, name, backend, capacity, flags);
    unsigned char *message = arena_trap("message", 100);

    if (before != NULL)
        put_text(r, before);
    memset(message, '!', 100);
    begin(p, ring_put(r, message, 200, -1));
    assert_trapped(p);
    if (meanwhile != NULL)
        meanwhile(arg);
    puppet_kill(p);
}

/* Kills a process in the middle of copying the oldest message out. */
static void die_in_get(const char *name, int backend, size_t capacity, unsigned flags,
                       void (*meanwhile)(void *), void *arg)
{
    struct puppet *p = puppet_start();
    struct ring *r = OPENED(p, name, backend, capacity, flags);
    char *buf = arena_trap("buf", 24);

    begin(p, ring_get(r, buf, 200, -1));
    assert_trapped(p);
    if (meanwhile != NULL)
        meanwhile(arg);
    puppet_kill(p);
}

static void begin_put(void *arg)
{
    struct bystander *b = arg;

    begin(b->puppet, ring_put(b->ring, b->buf, 5, -1));
    puppet_settle(b->puppet);
}

static void begin_get(void *arg)
{
    struct bystander *b = arg;

    begin(b->puppet, ring_get(b->ring, b->buf, 200, -1));
    puppet_settle(b->puppet);
}

/* What the process that runs into the trap would put and never does, the
 * others put and get around it; and that twice. */
static void killed_in_put_the_others_go_on_over(int backend)
{
    const char *name = fresh_name();
    struct puppet *a = puppet_start();
    struct ring *in_a = OPENED(a, name, backend, 512, RING_CREATE);
    struct bystander b = {.puppet = puppet_start(), .buf = arena_string("while")};
    int room;

    b.ring = OPENED(b.puppet, name, backend, 512, 0);
    room = room_for(b.ring);
    for (int round = 0; round < 2; round++) {
        die_in_put(name, backend, 512, 0, "before", begin_put, &b);
        assert_goes_on(b.puppet, STILL_HELD);
        assert_int_equal(finish(b.puppet), 0);

        begin(a, ring_put(in_a, arena_string("after"), 5, -1));
        assert_goes_on(a, STILL_HELD);
        assert_int_equal(finish(a), 0);
        puppet_use(b.puppet);
        assert_next(b.ring, "before");
        assert_next(b.ring, "while");
        assert_next(b.ring, "after");
        assert_empty(b.ring);
        if (room_for(b.ring) != room)
            fail_msg(ROOM_LOST);
    }
    die_in_put(name, backend, 512, 0, NULL, NULL, NULL); /* and nobody puts or gets after that */
    begin(a, ring_destroy(name, backend));
    assert_goes_on(a, STILL_HELD);
    assert_int_equal(finish(a), 0);
    begin(a, ring_close(in_a));
    assert_goes_on(a, STILL_HELD);
    assert_int_equal(finish(a), 0);
}

TEST(killed_in_put_the_others_go_on,
     "When a process is killed in the middle of ring_put, those who wait and those who come go "
     "on, all other messages are there, and nothing of the dead one's is.")
{
    killed_in_put_the_others_go_on_over(RING_POSIX);
}

TEST(sysv_killed_in_put_the_others_go_on,
     "System V: When a process is killed in the middle of ring_put, the others go on, all other "
     "messages are there, and nothing of the dead one's is.")
{
    killed_in_put_the_others_go_on_over(RING_SYSV);
}

/* On a full ring one waits for the room of the message that another dies with.
 * Either the message is still there, or its room is, and then the one that
 * waits must have it. */
static void room_of_the_dead(const char *name, struct ring *in_a, struct puppet *a,
                             struct bystander *b, const char *old)
{
    char *message = arena_string(old);
    char *largest = arena_alloc("message", 512 - 8);
    enum puppet_state state;

    puppet_use(a);
    put_text(in_a, old);
    fill_up(in_a);
    begin(b->puppet, ring_put(b->ring, message, strlen(old), -1));
    assert_waits(b->puppet);
    die_in_get(name, RING_POSIX, 512, 0, NULL, NULL);
    puppet_use(a); /* the first to have the lock, who gains nothing by it */
    assert_int_equal(ring_put(in_a, largest, 512 - 8, 0), -1);
    state = puppet_settle(b->puppet);
    puppet_use(a);
    if (state == PUPPET_BLOCKED && ring_put(in_a, message, strlen(old), 0) == 0)
        fail_msg("a ring_get was killed, its message is gone, and ring_put still waits for the "
                 "room of it");
    if (state == PUPPET_RETURNED)
        assert_int_equal(finish(b->puppet), 0);
}

TEST(killed_in_get_the_others_go_on,
     "When a process is killed in the middle of ring_get, the others go on, who waits for room "
     "too, and its message is there whole or not at all.")
{
    static const char old[] = "the one that the dead process had half of in its buffer";
    const char *name = fresh_name();
    struct puppet *a = puppet_start();
    struct ring *in_a = OPENED(a, name, RING_POSIX, 512, RING_CREATE);
    struct bystander b = {.puppet = puppet_start(), .buf = arena_out("buf", 200)};
    int room;

    b.ring = OPENED(b.puppet, name, RING_POSIX, 512, 0);
    room = room_for(b.ring);
    for (int round = 0; round < 2; round++) {
        int len;

        puppet_use(a);
        put_text(in_a, old);
        put_text(in_a, "the next");
        die_in_get(name, RING_POSIX, 512, 0, begin_get, &b);
        assert_goes_on(b.puppet, STILL_HELD);
        len = finish(b.puppet);
        puppet_use(a);
        if (len == (int)strlen(old)) { /* there whole */
            assert_memory_equal(b.buf, old, strlen(old));
            assert_next(in_a, "the next");
        } else { /* or not at all */
            assert_int_equal(len, 8);
            assert_memory_equal(b.buf, "the next", 8);
        }
        assert_empty(in_a);
        if (room_for(in_a) != room)
            fail_msg(ROOM_LOST);
    }
    room_of_the_dead(name, in_a, a, &b, old);
    ring_destroy(name, RING_POSIX);
}

static void wake_up(void *arg)
{
    struct bystander *b = arg;

    signal_puppet(b->puppet, SIGCONT);
    WAIT_UNTIL(state_of(b->puppet) != 'T');
    puppet_settle(b->puppet);
}

TEST(a_waiter_inherits_the_lock_of_the_dead,
     "A process that wakes up, in ring_get or ring_put, while another has the lock and dies with "
     "it takes over (EOWNERDEAD comes out of pthread_cond_wait and pthread_cond_timedwait too).")
{
    const char *name = fresh_name();
    struct puppet *a = puppet_start();
    struct ring *in_a = OPENED(a, name, RING_POSIX, 512, RING_CREATE);
    struct bystander b = {.puppet = puppet_start(), .buf = arena_out("buf", 200)};
    char *message = arena_string("of b");

    b.ring = OPENED(b.puppet, name, RING_POSIX, 512, 0);
    for (int round = 0; round < 4; round++) {
        int timeout_ms = round % 2 == 0 ? -1 : 1000000, n;

        /* It sleeps, a message is there, and before it wakes up a process
         * takes the lock to die with. */
        begin(b.puppet, ring_get(b.ring, b.buf, 200, timeout_ms));
        assert_waits(b.puppet);
        stop(b.puppet);
        puppet_use(a);
        put_text(in_a, "for b");
        die_in_put(name, RING_POSIX, 512, 0, NULL, wake_up, &b);
        assert_goes_on(b.puppet, STILL_HELD);
        assert_int_equal(finish(b.puppet), 5);
        assert_memory_equal(b.buf, "for b", 5);

        begin(a, ring_put(in_a, arena_string("on"), 2, -1));
        assert_goes_on(a, STILL_HELD);
        assert_int_equal(finish(a), 0);
        puppet_use(b.puppet);
        assert_next(b.ring, "on");

        /* The same with room: enough for b, and for the one that dies. */
        puppet_use(a);
        n = fill_up(in_a);
        begin(b.puppet, ring_put(b.ring, message, 4, timeout_ms));
        assert_waits(b.puppet);
        stop(b.puppet);
        puppet_use(a);
        for (int i = 0; i < 16; i++, n--)
            assert_next(in_a, "filling");
        die_in_put(name, RING_POSIX, 512, 0, NULL, wake_up, &b);
        assert_goes_on(b.puppet, STILL_HELD);
        assert_int_equal(finish(b.puppet), 0);
        puppet_use(a);
        for (; n > 0; n--)
            assert_next(in_a, "filling");
        assert_next(in_a, "of b");
        assert_empty(in_a);
    }
    ring_destroy(name, RING_POSIX);
}

/* ---- the end of a ring ---------------------------------------------------------------- */

static void after_destroy_nothing_is_left_over(int backend)
{
    const char *name = fresh_name();
    struct puppet *a = puppet_start();
    struct puppet *b = puppet_start();
    struct ring *in_a = OPENED(a, name, backend, 4096, RING_CREATE);
    struct ring *in_b = OPENED(b, name, backend, 4096, 0);

    put_text(in_b, "never read");
    assert_int_equal(ring_close(in_b), 0);
    puppet_use(a);
    assert_int_equal(ring_close(in_a), 0);
    assert_int_equal(ring_destroy(name, backend), 0);
    assert_nothing_left();
    assert_fails(ring_destroy(name, backend), ENOENT);
    assert_not_opened(ring_open(name, backend, 4096, 0), ENOENT);

    in_b = OPENED(b, name, backend, 64, RING_CREATE); /* of any capacity */
    assert_empty(in_b);
    puppet_kill(b);
    puppet_use(a);
    assert_int_equal(ring_destroy(name, backend), 0);
    assert_nothing_left();
}

/* The ring is destroyed while another is opening it, held right behind its nth
 * call of that kind; false if it makes none.  That one gets the old ring or,
 * with RING_CREATE, a new one. */
static bool destroy_under(int backend, enum fault_call where, unsigned nth, struct puppet *a,
                          struct puppet *b, unsigned flags)
{
    const char *name = fresh_name();
    struct ring *in_a = OPENED(a, name, backend, 64, RING_CREATE), *in_b;
    bool held;

    ring_close(in_a);
    fault_clear(b);
    fault_hold(b, where, nth);
    begin(b, ring_open(name, backend, 64, flags));
    held = puppet_settle(b) == PUPPET_HELD;
    begin(a, ring_destroy(name, backend));
    puppet_settle(a); /* it may wait for the one who opens */
    fault_release(b);
    in_b = (struct ring *)finish_word(b);
    if (in_b == NULL && (flags & RING_CREATE || (errno != ENOENT && errno != EIDRM)))
        fail_msg("a ring was destroyed while ring_open%s looked for it, and ring_open failed with "
                 "%s",
                 flags & RING_CREATE ? " with RING_CREATE" : "", strerrorname_np(errno));
    assert_int_equal(finish(a), 0);
    fault_clear(b);
    puppet_use(b);
    ring_close(in_b);
    ring_destroy(name, backend); /* if b made a new one */
    assert_nothing_left();
    return held;
}

static void who_opens_meets_the_end_over(int backend)
{
    static const enum fault_call calls[] = {FAULT_SHM_OPEN, FAULT_MMAP,   FAULT_SHMGET,
                                            FAULT_SHMAT,    FAULT_SHMCTL, FAULT_SEM_OPEN,
                                            FAULT_SEMGET};
    struct puppet *a = puppet_start();
    struct puppet *b = puppet_start();

    for (unsigned flags = 0; flags <= RING_CREATE; flags += RING_CREATE)
        for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++)
            for (unsigned nth = 1; nth <= MOST_HOLDS; nth++)
                if (!destroy_under(backend, calls[i], nth, a, b, flags))
                    break;
}

TEST(after_destroy_nothing_is_left,
     "After ring_destroy and the last ring_close nothing (object, semaphore, lock file) is left, "
     "and the name is free for a new and empty ring, also for one who is in ring_open meanwhile.")
{
    after_destroy_nothing_is_left_over(RING_POSIX);
    who_opens_meets_the_end_over(RING_POSIX);
}

TEST(sysv_after_destroy_nothing_is_left,
     "System V: After ring_destroy and the last ring_close nothing (segment, semaphore, lock "
     "file) is left, and the name is free for a new and empty ring, also for one who is in "
     "ring_open meanwhile.")
{
    after_destroy_nothing_is_left_over(RING_SYSV);
    who_opens_meets_the_end_over(RING_SYSV);
}

static void who_has_a_destroyed_ring_open_goes_on_over(int backend)
{
    const char *name = fresh_name();
    struct puppet *a = puppet_start();
    struct puppet *b = puppet_start();
    struct puppet *c = puppet_start();
    struct ring *in_a = OPENED(a, name, backend, 256, RING_CREATE);
    struct ring *in_b = OPENED(b, name, backend, 256, 0);
    struct ring *in_c;

    put_text(in_b, "before");
    puppet_use(c);
    assert_int_equal(ring_destroy(name, backend), 0);
    in_c = OPENED(c, name, backend, 256, RING_CREATE); /* another one */
    assert_empty(in_c);
    put_text(in_c, "new");

    puppet_use(a);
    assert_next(in_a, "before");
    assert_empty(in_a);
    put_text(in_a, "among us");
    puppet_use(b);
    assert_next(in_b, "among us");

    assert_int_equal(ring_close(in_b), 0);
    puppet_use(a);
    assert_int_equal(ring_close(in_a), 0);   /* the last one takes the old ring with it, */
    in_a = OPENED(a, name, backend, 256, 0); /* and not the new one's name */
    assert_next(in_a, "new");
    put_text(in_a, "newer");
    assert_int_equal(ring_close(in_a), 0);
    puppet_use(c);
    assert_next(in_c, "newer");
    assert_int_equal(ring_close(in_c), 0);
    assert_int_equal(ring_destroy(name, backend), 0);
    assert_nothing_left();
}

TEST(who_has_a_destroyed_ring_open_goes_on,
     "Processes that have a destroyed ring open go on using it among themselves until they close "
     "it, and neither meet nor harm a new one of that name.")
{
    who_has_a_destroyed_ring_open_goes_on_over(RING_POSIX);
}

TEST(sysv_who_has_a_destroyed_ring_open_goes_on,
     "System V: Processes that have a destroyed ring open go on using it among themselves until "
     "they close it, and neither meet nor harm a new one of that name.")
{
    who_has_a_destroyed_ring_open_goes_on_over(RING_SYSV);
}

TEST(close_gives_everything_back,
     "ring_close and ring_destroy give back the whole mapping and all descriptors, hundreds of "
     "times; closing NULL does nothing.")
{
    const size_t capacity = 4 << 20, times = 400; /* more than a puppet may map */
    const char *name = fresh_name();
    struct puppet *a = puppet_start();
    struct fd_info fds[64];
    size_t nfds;
    struct ring *r = OPENED(a, name, RING_POSIX, capacity, RING_CREATE);
    struct script *s = script_new(2 * times);

    ring_close(r);
    nfds = process_fds(puppet_pid(a), fds, 64);
    for (size_t i = 0; i < times; i++) {
        size_t opened_at = RECORD(s, ring_open(name, RING_POSIX, capacity, 0));

        RECORD(s, ring_close(script_value(s, opened_at)));
    }
    script_run(s);
    for (size_t i = 0; i < times; i++) {
        if (script_result(s, 2 * i) == 0)
            fail_msg("ring_open failed with %s after %zu rings were opened and closed",
                     strerrorname_np(script_errno(s, 2 * i)), i);
        assert_int_equal((int)script_result(s, 2 * i + 1), 0);
    }
    assert_int_equal(ring_close(NULL), 0);
    assert_fds_are(puppet_pid(a), fds, nfds);
    assert_not_mapped(a, name, RING_POSIX, "ring_close");
    ring_destroy(name, RING_POSIX);
    assert_fds_are(puppet_pid(a), fds, nfds);
    assert_not_mapped(a, name, RING_POSIX, "ring_destroy");
}

/* ---- one producer, one consumer ---------------------------------------------------------- */

TEST(spsc_a_stream_comes_out_in_order,
     "With RING_SPSC, with and without RING_SPIN, a stream of messages comes out whole and in "
     "order.")
{
    exchange(RING_POSIX, 128, RING_SPSC, 1);
    exchange(RING_POSIX, 4096, RING_SPSC, 1);
    exchange(RING_POSIX, 128, RING_SPSC | RING_SPIN, 1);
    room_is_free_when_the_message_is_out_over(RING_POSIX, RING_SPSC);
}

TEST(spsc_both_sides_sleep_and_are_woken,
     "With RING_SPSC and without RING_SPIN both sides sleep until they are woken; timeouts, with "
     "RING_SPIN too, end with ETIMEDOUT and not before.")
{
    static const char longer[] = "as long as two of them.";
    const char *name = fresh_name();
    struct puppet *a = puppet_start();
    struct puppet *b = puppet_start();
    struct ring *in_a = OPENED(a, name, RING_POSIX, 64, RING_CREATE | RING_SPSC);
    struct ring *in_b = OPENED(b, name, RING_POSIX, 64, RING_SPSC);
    char *buf = arena_out("buf", 24);

    for (int round = 0; round < 4; round++) {
        int timeout_ms = round < 2 ? -1 : 1000000, n;

        begin(b, ring_get(in_b, buf, 24, timeout_ms));
        assert_sleeps(b, timeout_ms > 0);
        puppet_use(a);
        put_text(in_a, "wake up");
        assert_goes_on(b, NO_MESSAGE_SEEN);
        assert_int_equal(finish(b), 7);

        puppet_use(a);
        n = fill_up(in_a);
        begin(a, ring_put(in_a, arena_string(longer), strlen(longer), timeout_ms));
        assert_sleeps(a, timeout_ms > 0);
        puppet_use(b);
        assert_next(in_b, "filling");
        assert_sleeps(a, timeout_ms > 0);
        puppet_use(b);
        assert_next(in_b, "filling");
        assert_goes_on(a, NO_ROOM_SEEN);
        assert_int_equal(finish(a), 0);
        puppet_use(b);
        while (n-- > 2)
            assert_next(in_b, "filling");
        assert_next(in_b, longer);
    }
    ring_destroy(name, RING_POSIX);

    for (unsigned spin = 0; spin <= RING_SPIN; spin += RING_SPIN) {
        name = fresh_name();
        in_a = OPENED(a, name, RING_POSIX, 64, RING_CREATE | RING_SPSC | spin);
        in_b = OPENED(b, name, RING_POSIX, 64, RING_SPSC | spin);
        assert_times_out(in_b, false);
        puppet_use(a);
        fill_up(in_a);
        assert_times_out(in_a, true);
        ring_destroy(name, RING_POSIX);
    }
}

static void spsc_who_was_killed_is_replaced_over(unsigned spsc)
{
    static const char old[] = "the one that the dead process had half of in its buffer";
    const char *name = fresh_name();
    struct puppet *producer, *consumer = puppet_start();
    struct ring *in_p, *in_c = OPENED(consumer, name, RING_POSIX, 512, RING_CREATE | spsc);
    const char *text;

    die_in_put(name, RING_POSIX, 512, spsc, "of the dead", NULL, NULL);
    producer = puppet_start();
    in_p = OPENED(producer, name, RING_POSIX, 512, spsc);
    put_text(in_p, old);
    put_text(in_p, "the next");
    puppet_use(consumer);
    assert_next(in_c, "of the dead");
    ring_close(in_c);
    die_in_get(name, RING_POSIX, 512, spsc, NULL, NULL);

    in_c = OPENED(consumer, name, RING_POSIX, 512, spsc);
    text = get_text(in_c);
    if (text != NULL && strcmp(text, old) == 0)
        text = get_text(in_c);
    if (text == NULL)
        fail_msg("a message that was put is not there");
    assert_string_equal(text, "the next");
    assert_empty(in_c);
    ring_destroy(name, RING_POSIX);
}

TEST(spsc_who_was_killed_is_replaced,
     "With RING_SPSC, with and without RING_SPIN, a new producer or consumer goes on where one "
     "was killed in the middle of a message.")
{
    spsc_who_was_killed_is_replaced_over(RING_SPSC);
    spsc_who_was_killed_is_replaced_over(RING_SPSC | RING_SPIN);
}
