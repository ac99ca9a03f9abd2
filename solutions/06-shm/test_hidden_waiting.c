/* test_hidden_waiting.c - lab 06: a full ring, lost wake-ups, and interrupted
 * system calls. */
#include "test_hidden.h"

/* ---- a full ring ----------------------------------------------------------------------- */

static void put_sleeps_until_there_is_space_over(int backend)
{
    static const char longer[] = "as long as two of them.";
    const char *name = unique_name();
    struct puppet *a = puppet_start();
    struct puppet *b = puppet_start();
    struct ring *in_a = OPEN_RING(a, name, backend, 64, RING_CREATE);
    struct ring *in_b = OPEN_RING(b, name, backend, 64, 0);

    for (int round = 0; round < 2; round++) {
        int n;

        puppet_use(a);
        n = fill_ring(in_a);
        begin(b, ring_put(in_b, arena_string(longer), strlen(longer), round == 0 ? -1 : 1000000));
        assert_sleeps(b, round != 0);
        puppet_use(a);
        assert_next(in_a, FILLER); /* 16 bytes are free, and 32 are needed */
        assert_sleeps(b, round != 0);
        puppet_use(a);
        assert_next(in_a, FILLER);
        assert_proceeds(b, SPACE_NOT_SEEN);
        assert_int_equal(finish(b), 0);
        puppet_use(a);
        while (n-- > 2)
            assert_next(in_a, FILLER);
        assert_next(in_a, longer);
    }
    if (backend == RING_SYSV) { /* over POSIX a public test does this */
        assert_times_out(in_a, false);
        fill_ring(in_a);
        assert_times_out(in_a, true);
    }
    ring_destroy(name, backend);
}

TEST(put_sleeps_until_there_is_space,
     "With or without a timeout, ring_put on a full ring sleeps without blocking other processes "
     "until its message fits.")
{
    put_sleeps_until_there_is_space_over(RING_POSIX);
}

TEST(sysv_put_sleeps_until_there_is_space,
     "System V: ring_put on a full ring sleeps without blocking other processes until its message "
     "fits or its timeout ends (ETIMEDOUT).")
{
    put_sleeps_until_there_is_space_over(RING_SYSV);
}

/* ---- lost wake-ups: two waiters ----------------------------------------------------------- */

/* Which of two calls has returned; one that polls may take its time. */
static int first_to_return(struct peer p[2])
{
    struct deadline until = deadline_start();

    do {
        enum puppet_state states[2] = {puppet_settle(p[0].puppet), puppet_settle(p[1].puppet)};

        for (int i = 0; i < 2; i++)
            if (states[i] == PUPPET_RETURNED)
                return i;
        if (states[0] == PUPPET_BLOCKED && states[1] == PUPPET_BLOCKED)
            break;
    } while (deadline_look_again(&until));
    fail_msg(MESSAGE_NOT_SEEN);
    return 0;
}

static void begin_waiting_get(const struct peer *p, int timeout_ms)
{
    begin(p->puppet, ring_get(p->ring, p->buf, 16, timeout_ms));
    assert_waits(p->puppet);
}

/* The first message is for one of the two; the other keeps waiting. */
static void one_message_for_two_waiters(const struct peer *a, struct peer p[2], int timeout_ms)
{
    int first;

    for (int i = 0; i < 2; i++)
        begin_waiting_get(&p[i], timeout_ms);
    puppet_use(a->puppet);
    put_text(a->ring, "for one");
    first = first_to_return(p);
    assert_int_equal(finish(p[first].puppet), 7);
    assert_memory_equal(test_copy(p[first].buf, 7), "for one", 7);
    assert_waits(p[!first].puppet);
    puppet_use(a->puppet);
    put_text(a->ring, "another");
    assert_proceeds(p[!first].puppet, MESSAGE_NOT_SEEN);
    assert_int_equal(finish(p[!first].puppet), 7);
    assert_memory_equal(test_copy(p[!first].buf, 7), "another", 7);
}

/* Two messages that are put before the waiters are awake are for both. */
static void two_messages_for_two_waiters(const struct peer *a, struct peer p[2], int timeout_ms)
{
    for (int i = 0; i < 2; i++) {
        begin_waiting_get(&p[i], timeout_ms);
        stop_puppet(p[i].puppet);
    }
    puppet_use(a->puppet);
    put_text(a->ring, "one");
    put_text(a->ring, "two");
    for (int i = 0; i < 2; i++)
        continue_puppet(p[i].puppet);
    for (int i = 0; i < 2; i++) {
        assert_proceeds(p[i].puppet, MESSAGE_NOT_SEEN);
        assert_int_equal(finish(p[i].puppet), 3);
    }
}

static void two_wait_for_messages(const char *name, const struct peer *a)
{
    struct peer p[2];

    for (int i = 0; i < 2; i++) {
        p[i].puppet = puppet_start();
        p[i].ring = OPEN_RING(p[i].puppet, name, RING_POSIX, 128, 0);
        p[i].buf = arena_out("buf", 16);
    }
    for (int timed = 0; timed < 2; timed++) {
        one_message_for_two_waiters(a, p, timed ? 1000000 : -1);
        two_messages_for_two_waiters(a, p, timed ? 1000000 : -1);
    }
}

/* b needs more space than c and waits first; c must get the space that is free. */
static void space_for_the_second_producer(const struct peer *a, const struct peer *b,
                                          const struct peer *c)
{
    static const char message[80];
    char *large = arena_out("large", 128);
    int n;

    puppet_use(a->puppet);
    n = fill_ring(a->ring);
    begin(b->puppet, ring_put(b->ring, arena_input("message", message, 80), 80, -1));
    assert_waits(b->puppet);
    begin(c->puppet, ring_put(c->ring, arena_input("message", message, 8), 8, -1));
    assert_waits(c->puppet);
    puppet_use(a->puppet);
    assert_next(a->ring, FILLER);
    assert_proceeds(c->puppet, "a ring_put whose message fits still waits: another that needs more "
                               "space was woken instead");
    assert_int_equal(finish(c->puppet), 0);
    assert_waits(b->puppet);
    puppet_use(a->puppet);
    while (--n > 0)
        assert_next(a->ring, FILLER);
    assert_int_equal(ring_get(a->ring, large, 128, -1), 8);
    assert_proceeds(b->puppet, SPACE_NOT_SEEN);
    assert_int_equal(finish(b->puppet), 0);
    puppet_use(a->puppet);
    assert_int_equal(ring_get(a->ring, large, 128, -1), 80);
}

/* The message is too long for b, which waits first and sees the message while
 * c is stopped; c must get it. */
static void message_for_the_second_consumer(const struct peer *a, const struct peer *b,
                                            const struct peer *c)
{
    char *small = arena_out("small", 4), *large = arena_out("large", 128);
    bool b_returned;

    begin(b->puppet, ring_get(b->ring, small, 4, -1));
    assert_waits(b->puppet);
    begin(c->puppet, ring_get(c->ring, large, 128, -1));
    assert_waits(c->puppet);
    stop_puppet(c->puppet);
    puppet_use(a->puppet);
    put_text(a->ring, "too long");
    b_returned = puppet_settle(b->puppet) == PUPPET_RETURNED;
    if (b_returned)
        assert_int_equal(finish(b->puppet), -1);
    continue_puppet(c->puppet);
    assert_proceeds(c->puppet, "ring_get still waits, and there is a message: another with too "
                               "small a buffer was woken, and left it");
    assert_int_equal(finish(c->puppet), 8);
    if (!b_returned) {
        puppet_use(a->puppet);
        put_text(a->ring, "now");
        if (finish(b->puppet) != 3 && errno != EMSGSIZE)
            fail_msg("ring_get failed with %s", error_name(errno));
    }
    while (puppet_use(a->puppet), get_text(a->ring) != NULL)
        continue;
}

/* ---- lost wake-ups: between check and sleep -------------------------------------------- */

/* Holds a waiting call right behind its nth call of that kind, causes the event
 * that it waits for, and releases it; false if it fell asleep before.  A call
 * that checks, releases the lock and then sleeps is found here. */
static bool hold_the_waiter(bool put, int timeout_ms, enum fault_call where, unsigned nth,
                            const struct peer *a, const struct peer *b)
{
    struct puppet *waiter = b->puppet, *waker = a->puppet;
    bool held;
    int n = 0;

    puppet_use(waker);
    if (put)
        n = fill_ring(a->ring);
    fault_clear(waiter);
    fault_hold(waiter, where, nth);
    if (put)
        begin(waiter, ring_put(b->ring, arena_string("waiter"), 7, timeout_ms));
    else
        begin(waiter, ring_get(b->ring, b->buf, 16, timeout_ms));
    held = puppet_settle(waiter) == PUPPET_HELD;
    if (put)
        begin(waker, ring_get(a->ring, a->buf, 16, -1));
    else
        begin(waker, ring_put(a->ring, arena_string("waker!"), 7, -1));
    puppet_settle(waker); /* it may need a lock that the waiter holds */
    fault_release(waiter);
    assert_int_equal(finish(waker), put ? 7 : 0);
    assert_proceeds(waiter, put ? SPACE_NOT_SEEN : MESSAGE_NOT_SEEN);
    assert_int_equal(finish(waiter), put ? 0 : 7);
    fault_clear(waiter);
    for (puppet_use(waker); n > 0; n--)
        if (get_text(a->ring) == NULL)
            fail_msg("a message that was put is not there");
    assert_empty(a->ring);
    return held;
}

static void no_wake_up_is_lost_before_the_sleep(const char *name)
{
    static const enum fault_call calls[] = {FAULT_MUTEX_LOCK, FAULT_MUTEX_UNLOCK, FAULT_SEM_WAIT,
                                            FAULT_SEM_POST, FAULT_SEMOP};
    struct peer a = {.puppet = puppet_start(), .buf = arena_out("waker", 16)};
    struct peer b = {.puppet = puppet_start(), .buf = arena_out("waiter", 16)};
    bool sleeps;

    a.ring = OPEN_RING(a.puppet, name, RING_POSIX, 128, 0);
    b.ring = OPEN_RING(b.puppet, name, RING_POSIX, 128, 0);
    begin(b.puppet, ring_get(b.ring, b.buf, 16, -1));
    sleeps = puppet_settle(b.puppet) == PUPPET_BLOCKED;
    puppet_use(a.puppet);
    put_text(a.ring, "wake up");
    assert_int_equal(finish(b.puppet), 7);
    if (!sleeps) /* it needs no wake-up; other tests judge that */
        return;
    for (int way = 0; way < 4; way++)
        for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++)
            for (unsigned nth = 1;
                 hold_the_waiter(way % 2, way < 2 ? -1 : 1000000, calls[i], nth, &a, &b); nth++)
                assert_few_calls(nth);
}

TEST(no_wake_up_is_lost,
     "No lost wake-up: a call that can proceed is woken, even if other waiters cannot, or the "
     "event comes just before it sleeps.")
{
    const char *name = unique_name();
    struct peer a = {.puppet = puppet_start()};
    struct peer b = {.puppet = puppet_start()};
    struct peer c = {.puppet = puppet_start()};

    a.ring = OPEN_RING(a.puppet, name, RING_POSIX, 128, RING_CREATE);
    b.ring = OPEN_RING(b.puppet, name, RING_POSIX, 128, 0);
    c.ring = OPEN_RING(c.puppet, name, RING_POSIX, 128, 0);
    space_for_the_second_producer(&a, &b, &c);
    message_for_the_second_consumer(&a, &b, &c);
    two_wait_for_messages(name, &a);
    no_wake_up_is_lost_before_the_sleep(name);
    ring_destroy(name, RING_POSIX);
}

/* ---- signals ---------------------------------------------------------------------------- */

static void a_signal_does_not_end_a_wait_over(int backend)
{
    const char *name = unique_name();
    struct puppet *a = puppet_start();
    char *buf = arena_out("buf", 8);

    OPEN_RING(a, name, backend, 64, RING_CREATE);
    for (int round = 0; round < 4; round++) {
        struct puppet *p = puppet_start();
        struct ring *r = OPEN_RING(p, name, backend, 64, 0);

        fault_clear(p);
        if (round >= 2) {
            fault_fail(p, FAULT_SEM_WAIT, 1, EINTR);
            fault_fail(p, FAULT_SEMOP, 1, EINTR);
        }
        begin(p, ring_get(r, buf, 8, round % 2 == 0 ? -1 : 1000000));
        assert_waits(p);
        /* Some system calls fail with EINTR when a process is stopped and
         * continued, although no signal handler ran (signal(7)). */
        stop_puppet(p);
        send_signal(p, SIGCONT);
        assert_waits(p);
        puppet_kill(p);
    }
    puppet_use(a);
    ring_destroy(name, backend);
}

TEST(a_signal_does_not_end_a_wait,
     "An interrupted system call (EINTR), or being stopped and continued, does not end a wait.")
{
    a_signal_does_not_end_a_wait_over(RING_POSIX);
}

TEST(sysv_a_signal_does_not_end_a_wait,
     "System V: an interrupted system call (EINTR), or being stopped and continued, does not end "
     "a wait.")
{
    a_signal_does_not_end_a_wait_over(RING_SYSV);
}
