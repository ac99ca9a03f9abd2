/* test_hidden_death.c - lab 06: processes that are killed in the middle of a
 * copy, with the lock held. */
#include "test_hidden.h"

#define STILL_LOCKED "it waits for a process that was killed in the middle of a call"
#define SPACE_LOST "the ring holds less than before a process died in it"

void die_in_put(const char *name, int backend, size_t capacity, unsigned flags,
                const char *first_message, void (*before_death)(void *), void *arg)
{
    struct puppet *p = puppet_start();
    struct ring *r = OPEN_RING(p, name, backend, capacity, flags);
    char message[200];

    if (first_message != NULL)
        put_text(r, first_message);
    memset(message, '!', sizeof(message));
    begin(p, ring_put(r, arena_trap_input("message", message, 200, 100), 200, -1));
    assert_trapped(p);
    if (before_death != NULL)
        before_death(arg);
    puppet_kill(p);
}

void die_in_get(const char *name, int backend, size_t capacity, unsigned flags,
                void (*before_death)(void *), void *arg)
{
    struct puppet *p = puppet_start();
    struct ring *r = OPEN_RING(p, name, backend, capacity, flags);
    char *buf = arena_trap("buf", 24);

    begin(p, ring_get(r, buf, 200, -1));
    assert_trapped(p);
    if (before_death != NULL)
        before_death(arg);
    puppet_kill(p);
}

static void begin_put(void *arg)
{
    struct peer *b = arg;

    begin(b->puppet, ring_put(b->ring, arena_string("while"), 5, -1));
    puppet_settle(b->puppet);
}

static void begin_get(void *arg)
{
    struct peer *b = arg;

    begin(b->puppet, ring_get(b->ring, b->buf, 200, -1));
    puppet_settle(b->puppet);
}

/* ---- killed in ring_put ------------------------------------------------------------------ */

/* Twice: b calls ring_put while the dead process holds the lock, a after that;
 * all messages but the dead process's arrive. */
static void a_process_killed_in_put_blocks_no_other_over(int backend)
{
    const char *name = unique_name();
    struct puppet *a = puppet_start();
    struct ring *in_a = OPEN_RING(a, name, backend, 512, RING_CREATE);
    struct peer b = {.puppet = puppet_start()};
    int fillers;

    b.ring = OPEN_RING(b.puppet, name, backend, 512, 0);
    fillers = count_fillers(b.ring);
    for (int round = 0; round < 2; round++) {
        die_in_put(name, backend, 512, 0, "before", begin_put, &b);
        assert_proceeds(b.puppet, STILL_LOCKED);
        assert_int_equal(finish(b.puppet), 0);

        begin(a, ring_put(in_a, arena_string("after"), 5, -1));
        assert_proceeds(a, STILL_LOCKED);
        assert_int_equal(finish(a), 0);
        puppet_use(b.puppet);
        assert_next(b.ring, "before");
        assert_next(b.ring, "while");
        assert_next(b.ring, "after");
        assert_empty(b.ring);
        if (count_fillers(b.ring) != fillers)
            fail_msg(SPACE_LOST);
    }
    die_in_put(name, backend, 512, 0, NULL, NULL, NULL); /* the last put or get of the ring */
    begin(a, ring_destroy(name, backend));
    assert_proceeds(a, STILL_LOCKED);
    assert_int_equal(finish(a), 0);
    begin(a, ring_close(in_a));
    assert_proceeds(a, STILL_LOCKED);
    assert_int_equal(finish(a), 0);
}

TEST(a_process_killed_in_put_blocks_no_other,
     "If a process is killed in ring_put, other processes continue, all other messages remain, "
     "and no part of its message appears.")
{
    a_process_killed_in_put_blocks_no_other_over(RING_POSIX);
}

TEST(sysv_a_process_killed_in_put_blocks_no_other,
     "System V: if a process is killed in ring_put, other processes continue, all other messages "
     "remain, and no part of its message appears.")
{
    a_process_killed_in_put_blocks_no_other_over(RING_SYSV);
}

/* ---- killed in ring_get -------------------------------------------------------------------- */

/* On a full ring b waits for the space of the message that another process
 * dies with.  Either that message is still there, or its space is free, and
 * then b must get it. */
static void space_of_the_dead_consumer(const char *name, struct ring *in_a, struct puppet *a,
                                       struct peer *b)
{
    static const char largest[512 - 8];
    enum puppet_state state;

    puppet_use(a);
    put_text(in_a, HALF_COPIED);
    fill_ring(in_a);
    begin(b->puppet, ring_put(b->ring, arena_string(HALF_COPIED), strlen(HALF_COPIED), -1));
    assert_waits(b->puppet);
    die_in_get(name, RING_POSIX, 512, 0, NULL, NULL);
    puppet_use(a); /* the first to recover the lock, and its message does not fit */
    assert_int_equal(ring_put(in_a, arena_input("message", largest, 512 - 8), 512 - 8, 0), -1);
    state = puppet_settle(b->puppet);
    puppet_use(a);
    if (state == PUPPET_BLOCKED &&
        ring_put(in_a, arena_string(HALF_COPIED), strlen(HALF_COPIED), 0) == 0)
        fail_msg("a ring_get was killed, its message is gone, and ring_put still waits for its "
                 "space");
    if (state == PUPPET_RETURNED)
        assert_int_equal(finish(b->puppet), 0);
}

TEST(a_process_killed_in_get_blocks_no_other,
     "If a process is killed in ring_get, other processes continue, waiting producers included, "
     "and its message is intact or gone.")
{
    const char *name = unique_name();
    struct puppet *a = puppet_start();
    struct ring *in_a = OPEN_RING(a, name, RING_POSIX, 512, RING_CREATE);
    struct peer b = {.puppet = puppet_start(), .buf = arena_out("buf", 200)};
    int fillers;

    b.ring = OPEN_RING(b.puppet, name, RING_POSIX, 512, 0);
    fillers = count_fillers(b.ring);
    for (int round = 0; round < 2; round++) {
        const char *got;
        int len;

        puppet_use(a);
        put_text(in_a, HALF_COPIED);
        put_text(in_a, "the next");
        die_in_get(name, RING_POSIX, 512, 0, begin_get, &b);
        assert_proceeds(b.puppet, STILL_LOCKED);
        len = finish(b.puppet);
        got = test_copy(b.buf, 200);
        puppet_use(a);
        if (len == (int)strlen(HALF_COPIED)) { /* intact */
            assert_memory_equal(got, HALF_COPIED, strlen(HALF_COPIED));
            assert_next(in_a, "the next");
        } else { /* or gone */
            assert_int_equal(len, 8);
            assert_memory_equal(got, "the next", 8);
        }
        assert_empty(in_a);
        if (count_fillers(in_a) != fillers)
            fail_msg(SPACE_LOST);
    }
    space_of_the_dead_consumer(name, in_a, a, &b);
    ring_destroy(name, RING_POSIX);
}

/* ---- waiters ------------------------------------------------------------------------------- */

static void continue_peer(void *arg)
{
    struct peer *b = arg;

    continue_puppet(b->puppet);
    puppet_settle(b->puppet);
}

/* b sleeps, a message is there, and before b wakes up another process takes
 * the lock and dies. */
static void a_consumer_recovers_the_lock(const char *name, const struct peer *a, struct peer *b,
                                         int timeout_ms)
{
    begin(b->puppet, ring_get(b->ring, b->buf, 200, timeout_ms));
    assert_waits(b->puppet);
    stop_puppet(b->puppet);
    puppet_use(a->puppet);
    put_text(a->ring, "for b");
    die_in_put(name, RING_POSIX, 512, 0, NULL, continue_peer, b);
    assert_proceeds(b->puppet, STILL_LOCKED);
    assert_int_equal(finish(b->puppet), 5);
    assert_memory_equal(test_copy(b->buf, 5), "for b", 5);

    begin(a->puppet, ring_put(a->ring, arena_string("on"), 2, -1));
    assert_proceeds(a->puppet, STILL_LOCKED);
    assert_int_equal(finish(a->puppet), 0);
    puppet_use(b->puppet);
    assert_next(b->ring, "on");
}

/* The same with space, which is enough for b and for the process that dies. */
static void a_producer_recovers_the_lock(const char *name, const struct peer *a, struct peer *b,
                                         int timeout_ms)
{
    int n;

    puppet_use(a->puppet);
    n = fill_ring(a->ring);
    begin(b->puppet, ring_put(b->ring, arena_string("of b"), 4, timeout_ms));
    assert_waits(b->puppet);
    stop_puppet(b->puppet);
    puppet_use(a->puppet);
    for (int i = 0; i < 16; i++, n--)
        assert_next(a->ring, FILLER);
    die_in_put(name, RING_POSIX, 512, 0, NULL, continue_peer, b);
    assert_proceeds(b->puppet, STILL_LOCKED);
    assert_int_equal(finish(b->puppet), 0);
    puppet_use(a->puppet);
    for (; n > 0; n--)
        assert_next(a->ring, FILLER);
    assert_next(a->ring, "of b");
    assert_empty(a->ring);
}

TEST(a_waiter_recovers_the_lock_of_a_dead_owner,
     "A waiter that wakes up after the lock's owner died recovers the lock; pthread_cond_wait and "
     "pthread_cond_timedwait return EOWNERDEAD too.")
{
    const char *name = unique_name();
    struct peer a = {.puppet = puppet_start()}, b;

    a.ring = OPEN_RING(a.puppet, name, RING_POSIX, 512, RING_CREATE);
    b.puppet = puppet_start();
    b.buf = arena_out("buf", 200);
    b.ring = OPEN_RING(b.puppet, name, RING_POSIX, 512, 0);
    for (int round = 0; round < 4; round++) {
        int timeout_ms = round % 2 == 0 ? -1 : 1000000;

        a_consumer_recovers_the_lock(name, &a, &b, timeout_ms);
        a_producer_recovers_the_lock(name, &a, &b, timeout_ms);
    }
    ring_destroy(name, RING_POSIX);
}
