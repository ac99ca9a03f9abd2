/* test_hidden_life.c - lab 06: ring_close and ring_destroy, and what is left
 * of a ring after them. */
#include "test_hidden.h"

/* ---- after ring_destroy ------------------------------------------------------------------- */

static void nothing_is_left_after_destroy_over(int backend)
{
    const char *name = unique_name();
    struct puppet *a = puppet_start();
    struct puppet *b = puppet_start();
    struct ring *in_a = OPEN_RING(a, name, backend, 4096, RING_CREATE);
    struct ring *in_b = OPEN_RING(b, name, backend, 4096, 0);

    put_text(in_b, "never read");
    assert_int_equal(ring_close(in_b), 0);
    puppet_use(a);
    assert_int_equal(ring_close(in_a), 0);
    assert_int_equal(ring_destroy(name, backend), 0);
    assert_nothing_left();
    assert_fails(ring_destroy(name, backend), ENOENT);
    assert_fails_with_null(ring_open(name, backend, 4096, 0), ENOENT);

    in_b = OPEN_RING(b, name, backend, 64, RING_CREATE); /* the capacity may differ */
    assert_empty(in_b);
    puppet_kill(b);
    puppet_use(a);
    assert_int_equal(ring_destroy(name, backend), 0);
    assert_nothing_left();
}

struct destruction { /* of a ring, by a, while b opens it */
    int backend;
    struct puppet *a, *b;
    unsigned flags; /* of b: it gets the old ring or, with RING_CREATE, a new one */
};

/* Destroys the ring while b is held right behind its nth call of that kind. */
static bool destroy_while_opening(void *context, enum fault_call where, unsigned nth,
                                  unsigned *count)
{
    const struct destruction *d = context;
    struct puppet *a = d->a, *b = d->b;
    const char *name = unique_name();
    struct ring *in_a = OPEN_RING(a, name, d->backend, 64, RING_CREATE), *in_b;
    bool held;

    ring_close(in_a);
    fault_clear(b);
    fault_watch(b, where);
    if (nth > 0)
        fault_hold(b, where, nth);
    watch_mapping(b, d->backend);
    begin(b, ring_open(name, d->backend, 64, d->flags));
    held = puppet_settle(b) == PUPPET_HELD;
    begin(a, ring_destroy(name, d->backend));
    puppet_settle(a); /* it may wait for b */
    fault_release(b);
    in_b = (struct ring *)finish_word(b);
    if (in_b == NULL && (d->flags & RING_CREATE || (errno != ENOENT && errno != EIDRM)))
        fail_msg("a ring was destroyed during ring_open%s, and ring_open failed with %s",
                 d->flags & RING_CREATE ? " with RING_CREATE" : "", error_name(errno));
    assert_int_equal(finish(a), 0);
    if (in_b != NULL)
        assert_mapping_seen(b, d->backend);
    *count = fault_count(b, where);
    fault_clear(b);
    puppet_use(b);
    ring_close(in_b);
    ring_destroy(name, d->backend); /* if b created a new one */
    assert_nothing_left();
    return held;
}

static void destroy_during_each_open_over(int backend)
{
    static const enum fault_call calls[] = {FAULT_SHM_OPEN, FAULT_MMAP,   FAULT_SHMGET,
                                            FAULT_SHMAT,    FAULT_SHMCTL, FAULT_SEM_OPEN,
                                            FAULT_SEMGET};
    struct destruction d = {.backend = backend, .a = puppet_start(), .b = puppet_start()};
    unsigned ignored;

    for (d.flags = 0; d.flags <= RING_CREATE; d.flags += RING_CREATE) {
        destroy_while_opening(&d, calls[0], 0, &ignored); /* the first call may do more */
        for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++)
            sweep(calls[i], destroy_while_opening, &d);
    }
}

TEST(nothing_is_left_after_destroy,
     "After ring_destroy and the last ring_close, no object, semaphore or lock file is left, and "
     "the name is free, even if ring_open runs concurrently.")
{
    nothing_is_left_after_destroy_over(RING_POSIX);
    destroy_during_each_open_over(RING_POSIX);
}

TEST(sysv_nothing_is_left_after_destroy,
     "System V: after ring_destroy and the last ring_close, no segment, semaphore or lock file is "
     "left, and the name is free, even during ring_open.")
{
    nothing_is_left_after_destroy_over(RING_SYSV);
    destroy_during_each_open_over(RING_SYSV);
}

static void a_destroyed_ring_stays_usable_while_open_over(int backend)
{
    const char *name = unique_name();
    struct puppet *a = puppet_start();
    struct puppet *b = puppet_start();
    struct puppet *c = puppet_start();
    struct ring *in_a = OPEN_RING(a, name, backend, 256, RING_CREATE);
    struct ring *in_b = OPEN_RING(b, name, backend, 256, 0);
    struct ring *in_c;

    put_text(in_b, "before");
    puppet_use(c);
    assert_int_equal(ring_destroy(name, backend), 0);
    in_c = OPEN_RING(c, name, backend, 256, RING_CREATE); /* a new ring */
    assert_empty(in_c);
    put_text(in_c, "new");

    puppet_use(a);
    assert_next(in_a, "before");
    assert_empty(in_a);
    put_text(in_a, "in the old ring");
    puppet_use(b);
    assert_next(in_b, "in the old ring");

    assert_int_equal(ring_close(in_b), 0);
    puppet_use(a);
    assert_int_equal(ring_close(in_a), 0); /* removes the old ring, not the new one's name */
    in_a = OPEN_RING(a, name, backend, 256, 0);
    assert_next(in_a, "new");
    put_text(in_a, "newer");
    assert_int_equal(ring_close(in_a), 0);
    puppet_use(c);
    assert_next(in_c, "newer");
    assert_int_equal(ring_close(in_c), 0);
    assert_int_equal(ring_destroy(name, backend), 0);
    assert_nothing_left();
}

TEST(a_destroyed_ring_stays_usable_while_open,
     "Processes that have a destroyed ring open can keep using it, and neither reach nor harm a "
     "new ring of that name.")
{
    a_destroyed_ring_stays_usable_while_open_over(RING_POSIX);
}

TEST(sysv_a_destroyed_ring_stays_usable_while_open,
     "System V: processes that have a destroyed ring open can keep using it, and neither reach "
     "nor harm a new ring of that name.")
{
    a_destroyed_ring_stays_usable_while_open_over(RING_SYSV);
}

/* ---- resources ------------------------------------------------------------------------------ */

TEST(close_and_destroy_release_everything,
     "Closing and destroying a ring release its whole mapping and every descriptor; "
     "ring_close(NULL) does nothing.")
{
    const size_t capacity = 4 << 20, times = 400; /* more than a puppet may map */
    const char *name = unique_name();
    struct puppet *a = puppet_start();
    struct fd_info fds[64];
    size_t nfds;
    struct ring *r = OPEN_RING(a, name, RING_POSIX, capacity, RING_CREATE);
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
                     error_name(script_errno(s, 2 * i)), i);
        assert_int_equal((int)script_result(s, 2 * i + 1), 0);
    }
    assert_int_equal(ring_close(NULL), 0);
    assert_fds_are(puppet_pid(a), fds, nfds);
    assert_not_mapped(a, name, RING_POSIX, "ring_close");
    ring_destroy(name, RING_POSIX);
    assert_fds_are(puppet_pid(a), fds, nfds);
    assert_not_mapped(a, name, RING_POSIX, "ring_destroy");
}
