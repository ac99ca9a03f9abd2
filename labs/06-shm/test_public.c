/* test_public.c - the first third of lab 06: opening a ring, messages that go
 * through it in order, and waiting.  Each test starts processes that know of
 * each other by the ring's name only.  A test of both back ends has its body
 * once, as NAME_over(backend). */
#define _GNU_SOURCE
#include "test_support.h"

/* ---- opening ----------------------------------------------------------------- */

static void creator_and_opener_share_one_ring_over(int backend)
{
    const char *name = fresh_name();
    struct puppet *a = puppet_start();
    struct puppet *b = puppet_start();
    struct ring *in_a = OPENED(a, name, backend, 4096, RING_CREATE);
    struct ring *in_b = OPENED(b, name, backend, 4096, 0);

    puppet_use(a);
    put_text(in_a, "hello");
    puppet_use(b);
    assert_next(in_b, "hello");
    put_text(in_b, "good day");
    puppet_use(a);
    assert_next(in_a, "good day");
    assert_mode_0600(name, backend);
    puppet_use(a);

    assert_int_equal(ring_close(in_a), 0);
    puppet_use(b);
    assert_int_equal(ring_close(in_b), 0);
    ring_destroy(name, backend);
}

TEST(creator_and_opener_share_one_ring,
     "A process that opens a ring by its name gets what another put, and the other way round; "
     "its memory has mode 0600.")
{
    creator_and_opener_share_one_ring_over(RING_POSIX);
}

TEST(sysv_creator_and_opener_share_one_ring,
     "System V: A process that opens a ring by its name gets what another put, and the other way "
     "round; its memory has mode 0600.")
{
    creator_and_opener_share_one_ring_over(RING_SYSV);
}

TEST(open_refuses_bad_arguments,
     "Names, back ends, capacities, flags and timeouts that ring.h excludes are refused with "
     "EINVAL or ENAMETOOLONG, and leave nothing behind.")
{
    const char *name = fresh_name();
    char *longest = arena_alloc("name", RING_NAME_MAX + 1);
    char *too_long = arena_alloc("name", RING_NAME_MAX + 2);
    struct ring *r;

    memset(longest, 'x', RING_NAME_MAX);
    memset(too_long, 'x', RING_NAME_MAX + 1);
    memcpy(longest, name, strlen(name));

    assert_not_opened(ring_open(NULL, RING_POSIX, 4096, RING_CREATE), EINVAL);
    assert_not_opened(ring_open(arena_string(""), RING_POSIX, 4096, RING_CREATE), EINVAL);
    assert_not_opened(ring_open(arena_string("a/b"), RING_POSIX, 4096, RING_CREATE), EINVAL);
    assert_not_opened(ring_open(arena_string("."), RING_POSIX, 4096, RING_CREATE), EINVAL);
    assert_not_opened(ring_open(arena_string(".."), RING_POSIX, 4096, RING_CREATE), EINVAL);
    assert_not_opened(ring_open(too_long, RING_POSIX, 4096, RING_CREATE), ENAMETOOLONG);
    assert_not_opened(ring_open(name, 0, 4096, RING_CREATE), EINVAL);
    assert_not_opened(ring_open(name, 3, 4096, RING_CREATE), EINVAL);
    assert_not_opened(ring_open(name, RING_POSIX, 0, RING_CREATE), EINVAL);
    assert_not_opened(ring_open(name, RING_POSIX, 8, RING_CREATE), EINVAL);
    assert_not_opened(ring_open(name, RING_POSIX, 4100, RING_CREATE), EINVAL);
    assert_not_opened(ring_open(name, RING_POSIX, RING_CAPACITY_MAX + 8, RING_CREATE), EINVAL);
    assert_not_opened(ring_open(name, RING_POSIX, SIZE_MAX - 7, RING_CREATE), EINVAL);
    assert_not_opened(ring_open(name, RING_POSIX, 4096, RING_CREATE | 16), EINVAL);
    assert_not_opened(ring_open(name, RING_POSIX, 4096, RING_EXCL), EINVAL);
    assert_not_opened(ring_open(name, RING_POSIX, 4100, 0), EINVAL); /* before it is looked for */
    assert_not_opened(ring_open(name, RING_POSIX, RING_CAPACITY_MAX, 0),
                      ENOENT); /* not too large */
    assert_fails(ring_destroy(NULL, RING_POSIX), EINVAL);
    assert_fails(ring_destroy(arena_string(""), RING_POSIX), EINVAL);
    assert_fails(ring_destroy(arena_string("a/b"), RING_POSIX), EINVAL);
    assert_fails(ring_destroy(arena_string("."), RING_POSIX), EINVAL);
    assert_fails(ring_destroy(arena_string(".."), RING_POSIX), EINVAL);
    assert_fails(ring_destroy(too_long, RING_POSIX), ENAMETOOLONG);
    assert_fails(ring_destroy(name, 0), EINVAL);
    assert_nothing_left();

    r = OPENED(puppet_current(), longest, RING_POSIX, RING_CAPACITY_MIN, RING_CREATE);
    assert_fails(ring_put(r, name, 1, -2), EINVAL);
    assert_fails(ring_get(r, arena_out("buf", 8), 8, -2), EINVAL);
    put_text(r, "");
    assert_fails(ring_put(r, name, 1, -2), EINVAL); /* whether it would wait or not */
    assert_fails(ring_get(r, arena_out("buf", 8), 8, -2), EINVAL);
    assert_next(r, "");
    ring_close(r);
    ring_destroy(longest, RING_POSIX);
}

static void open_says_whether_there_is_a_ring_over(int backend)
{
    const char *name = fresh_name();
    struct puppet *a = puppet_start();
    struct puppet *b = puppet_start();
    struct ring *in_a, *in_b;

    assert_not_opened(ring_open(name, backend, 4096, 0), ENOENT);
    assert_fails(ring_destroy(name, backend), ENOENT);

    in_a = OPENED(a, name, backend, 4096, RING_CREATE | RING_EXCL);
    put_text(in_a, "still here");
    puppet_use(b);
    assert_not_opened(ring_open(name, backend, 4096, RING_CREATE | RING_EXCL), EEXIST);
    in_b = OPENED(b, name, backend, 4096, RING_CREATE); /* opens it as it is */
    assert_next(in_b, "still here");

    ring_close(in_b);
    puppet_use(a);
    ring_close(in_a);
    ring_destroy(name, backend);
}

TEST(open_says_whether_there_is_a_ring,
     "ENOENT without a ring, EEXIST with RING_EXCL if there is one, and RING_CREATE opens one "
     "that exists with its messages.")
{
    open_says_whether_there_is_a_ring_over(RING_POSIX);
}

TEST(sysv_open_says_whether_there_is_a_ring,
     "System V: ENOENT without a ring, EEXIST with RING_EXCL if there is one, and RING_CREATE "
     "opens one that exists with its messages.")
{
    open_says_whether_there_is_a_ring_over(RING_SYSV);
}

/* ---- messages ------------------------------------------------------------------ */

TEST(messages_come_out_whole_and_in_order,
     "Messages come out in the order in which they were put, byte for byte; empty messages are "
     "messages, and bytes of buf behind one stay as they were.")
{
    const char *name = fresh_name();
    struct ring *r = OPENED(puppet_start(), name, RING_POSIX, 4096, RING_CREATE);
    unsigned char *buf = arena_out("buf", 24), got[24];

    put_text(r, "one");
    put_text(r, "");
    put_text(r, "the third, of more than eight bytes");
    put_text(r, "12345678");
    assert_int_equal(ring_put(r, NULL, 0, 0), 0);
    put_text(r, "six");

    assert_next(r, "one");
    assert_next(r, "");
    assert_next(r, "the third, of more than eight bytes");
    assert_next(r, "12345678");
    assert_next(r, "");
    assert_next(r, "six");
    assert_empty(r);

    put_text(r, "short");
    assert_int_equal(ring_get(r, buf, 24, 0), 5);
    memcpy(got, buf, 24);
    assert_memory_equal(got, "short", 5);
    for (int i = 5; i < 24; i++)
        if (got[i] != 0xA5)
            fail_msg("ring_get gave a message of 5 bytes, and changed byte %d of buf", i);

    ring_close(r);
    ring_destroy(name, RING_POSIX);
}

/* How many messages of len bytes a ring takes that is empty. */
static int fits(struct ring *r, size_t len)
{
    unsigned char *message = arena_alloc("message", len);
    int n = 0;

    while (n < 100 && ring_put(r, message, len, 0) == 0)
        n++;
    for (int i = 0; i < n; i++)
        assert_int_equal(ring_get(r, arena_out("buf", len), len, 0), len);
    return n;
}

TEST(a_message_costs_eight_and_its_length_rounded_up,
     "A message costs exactly 8 bytes and its length rounded up to 8; more than the capacity is "
     "EMSGSIZE, whatever the length.")
{
    const char *name = fresh_name();
    struct ring *r = OPENED(puppet_start(), name, RING_POSIX, 64, RING_CREATE);
    unsigned char *message = arena_alloc("message", 64);

    assert_int_equal(fits(r, 0), 8);
    assert_int_equal(fits(r, 1), 4);
    assert_int_equal(fits(r, 8), 4);
    assert_int_equal(fits(r, 9), 2);
    assert_int_equal(fits(r, 24), 2);
    assert_int_equal(fits(r, 25), 1);
    assert_int_equal(fits(r, 56), 1);
    assert_fails(ring_put(r, message, 57, -1), EMSGSIZE);
    assert_fails(ring_put(r, message, SIZE_MAX, -1), EMSGSIZE);
    assert_fails(ring_put(r, message, SIZE_MAX - 7, -1), EMSGSIZE);
    assert_int_equal(fits(r, 56), 1);

    ring_close(r);
    ring_destroy(name, RING_POSIX);
}

TEST(full_and_empty_are_told_apart,
     "A ring that is full to the last byte gives its messages and takes no more; an empty one "
     "gives none.")
{
    const char *name = fresh_name();
    struct ring *r = OPENED(puppet_start(), name, RING_POSIX, 32, RING_CREATE);

    for (int round = 0; round < 3; round++) {
        assert_empty(r);
        put_text(r, "seven !");
        put_text(r, "eight !!");
        assert_int_equal(ring_put(r, arena_string("x"), 1, 0), -1);
        assert_int_equal(ring_put(r, NULL, 0, 0), -1);
        assert_next(r, "seven !");
        assert_next(r, "eight !!");
    }
    ring_close(r);
    ring_destroy(name, RING_POSIX);
}

TEST(too_small_a_buffer_leaves_the_message,
     "A buffer too small for the oldest message is EMSGSIZE and stays as it was, and the message "
     "stays the oldest.")
{
    const char *name = fresh_name();
    struct ring *r = OPENED(puppet_start(), name, RING_POSIX, 256, RING_CREATE);
    char *buf = arena_out("buf", 11), got[11];

    put_text(r, "hello world");
    put_text(r, "next");
    assert_fails(ring_get(r, buf, 10, -1), EMSGSIZE);
    assert_fails(ring_get(r, buf, 0, -1), EMSGSIZE);
    memcpy(got, buf, 11);
    for (int i = 0; i < 11; i++)
        if ((unsigned char)got[i] != 0xA5)
            fail_msg("ring_get failed with EMSGSIZE, and changed byte %d of buf", i);
    assert_int_equal(ring_get(r, buf, 11, -1), 11);
    assert_memory_equal(buf, "hello world", 11);
    assert_next(r, "next");

    ring_close(r);
    ring_destroy(name, RING_POSIX);
}

/* ---- waiting --------------------------------------------------------------------- */

static void get_sleeps_until_a_message_comes_over(int backend)
{
    const char *name = fresh_name();
    struct puppet *a = puppet_start();
    struct puppet *b = puppet_start();
    struct ring *in_a = OPENED(a, name, backend, 64, RING_CREATE);
    struct ring *in_b = OPENED(b, name, backend, 64, 0);
    char *buf = arena_out("buf", 16);

    for (int round = 0; round < 4; round++) {
        if (round < 2) {
            begin(b, ring_get(in_b, buf, 16, -1));
            assert_blocked(b);
        } else {
            begin(b, ring_get(in_b, buf, 16, 1000000));
            assert_blocked_with_timeout(b);
        }
        puppet_use(a);
        put_text(in_a, "wake up");
        assert_goes_on(b, NO_MESSAGE_SEEN);
        assert_int_equal(finish(b), 7);
        assert_memory_equal(buf, "wake up", 7);
    }
    ring_close(in_a);
    puppet_use(b);
    ring_close(in_b);
    ring_destroy(name, backend);
}

TEST(get_sleeps_until_a_message_comes,
     "ring_get on an empty ring, with a timeout and without, sleeps until a message of another "
     "process wakes it; it neither polls nor spins.")
{
    get_sleeps_until_a_message_comes_over(RING_POSIX);
}

TEST(sysv_get_sleeps_until_a_message_comes,
     "System V: ring_get on an empty ring, with a timeout and without, sleeps until a message of "
     "another process wakes it; it neither polls nor spins.")
{
    get_sleeps_until_a_message_comes_over(RING_SYSV);
}

TEST(timeouts_end_with_etimedout_and_not_before,
     "A timeout ends with ETIMEDOUT and not before its time, however long it is; 0 does not "
     "wait.")
{
    static const int long_ms[] = {999, 100999, 2147483647};
    const char *name = fresh_name();
    struct puppet *a = puppet_start();
    struct ring *r = OPENED(a, name, RING_POSIX, 64, RING_CREATE);
    char *buf = arena_out("buf", 8);

    assert_times_out(r, false);
    fill_up(r);
    assert_times_out(r, true);
    for (size_t i = 0; i < sizeof(long_ms) / sizeof(*long_ms); i++) {
        struct puppet *p = puppet_start();
        struct ring *in_p = OPENED(p, name, RING_POSIX, 64, 0);
        uint64_t start_ns = now_ns();

        begin(p, ring_put(in_p, buf, 8, long_ms[i]));
        if (puppet_settle(p) == PUPPET_RETURNED) {
            assert_fails(finish(p), ETIMEDOUT);
            if (now_ns() - start_ns < (uint64_t)long_ms[i] * 1000000)
                fail_msg("ring_put with a timeout of %d ms ended sooner", long_ms[i]);
        }
        puppet_kill(p);
    }
    puppet_use(a);
    ring_close(r);
    ring_destroy(name, RING_POSIX);
}

/* ---- the life of a ring ------------------------------------------------------------ */

TEST(a_ring_outlives_its_processes,
     "A ring and its messages stay when every process has closed it, ended or been killed.")
{
    const char *name = fresh_name();
    struct puppet *a = puppet_start();
    struct ring *in_a = OPENED(a, name, RING_POSIX, 4096, RING_CREATE);
    struct puppet *b, *c;
    struct ring *in_b, *in_c;

    put_text(in_a, "from the first");
    ring_close(in_a);
    puppet_end(a);

    b = puppet_start();
    in_b = OPENED(b, name, RING_POSIX, 4096, 0);
    assert_next(in_b, "from the first");
    put_text(in_b, "from the second");
    puppet_kill(b);

    c = puppet_start();
    in_c = OPENED(c, name, RING_POSIX, 4096, 0);
    assert_next(in_c, "from the second");
    ring_close(in_c);
    ring_destroy(name, RING_POSIX);
}
