/* test_public.c - the public tests of lab 06: opening a ring, messages in
 * order, waiting.  Each test starts unrelated processes, which know nothing of
 * each other but the ring's name.  A test for both back ends has its body once,
 * as NAME_over(backend). */
#include "test_support.h"

/* ---- opening ----------------------------------------------------------------- */

static void creator_and_opener_share_one_ring_over(int backend)
{
    const char *name = unique_name();
    struct puppet *a = puppet_start();
    struct puppet *b = puppet_start();
    struct ring *in_a = OPEN_RING(a, name, backend, 4096, RING_CREATE);
    struct ring *in_b = OPEN_RING(b, name, backend, 4096, 0);

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
     "Two unrelated processes that open a ring by its name exchange messages both ways; its shared "
     "memory has mode 0600.")
{
    creator_and_opener_share_one_ring_over(RING_POSIX);
}

TEST(sysv_creator_and_opener_share_one_ring,
     "System V: two unrelated processes that open a ring by its name exchange messages both ways; "
     "its shared memory has mode 0600.")
{
    creator_and_opener_share_one_ring_over(RING_SYSV);
}

TEST(invalid_arguments_are_rejected, "An invalid name, back end, capacity, flag or timeout fails "
                                     "with EINVAL or ENAMETOOLONG and leaves nothing behind.")
{
    const char *name = unique_name();
    char longest[RING_NAME_MAX + 1] = "";
    char too_long[RING_NAME_MAX + 2] = "";
    struct ring *r;

    memset(longest, 'x', RING_NAME_MAX);
    memset(too_long, 'x', RING_NAME_MAX + 1);
    memcpy(longest, name, strlen(name));

    assert_fails_with_null(ring_open(NULL, RING_POSIX, 4096, RING_CREATE), EINVAL);
    assert_fails_with_null(ring_open("", RING_POSIX, 4096, RING_CREATE), EINVAL);
    assert_fails_with_null(ring_open("a/b", RING_POSIX, 4096, RING_CREATE), EINVAL);
    assert_fails_with_null(ring_open(".", RING_POSIX, 4096, RING_CREATE), EINVAL);
    assert_fails_with_null(ring_open("..", RING_POSIX, 4096, RING_CREATE), EINVAL);
    assert_fails_with_null(ring_open(too_long, RING_POSIX, 4096, RING_CREATE), ENAMETOOLONG);
    assert_fails_with_null(ring_open(name, 0, 4096, RING_CREATE), EINVAL);
    assert_fails_with_null(ring_open(name, 3, 4096, RING_CREATE), EINVAL);
    assert_fails_with_null(ring_open(name, RING_POSIX, 0, RING_CREATE), EINVAL);
    assert_fails_with_null(ring_open(name, RING_POSIX, 8, RING_CREATE), EINVAL);
    assert_fails_with_null(ring_open(name, RING_POSIX, 4100, RING_CREATE), EINVAL);
    assert_fails_with_null(ring_open(name, RING_POSIX, RING_CAPACITY_MAX + 8, RING_CREATE), EINVAL);
    assert_fails_with_null(ring_open(name, RING_POSIX, SIZE_MAX - 7, RING_CREATE), EINVAL);
    assert_fails_with_null(ring_open(name, RING_POSIX, 4096, RING_CREATE | 16), EINVAL);
    assert_fails_with_null(ring_open(name, RING_POSIX, 4096, RING_EXCL), EINVAL);
    /* The capacity is checked before the ring is looked up. */
    assert_fails_with_null(ring_open(name, RING_POSIX, 4100, 0), EINVAL);
    assert_fails_with_null(ring_open(name, RING_POSIX, RING_CAPACITY_MAX, 0), ENOENT);
    assert_fails(ring_destroy(NULL, RING_POSIX), EINVAL);
    assert_fails(ring_destroy("", RING_POSIX), EINVAL);
    assert_fails(ring_destroy("a/b", RING_POSIX), EINVAL);
    assert_fails(ring_destroy(".", RING_POSIX), EINVAL);
    assert_fails(ring_destroy("..", RING_POSIX), EINVAL);
    assert_fails(ring_destroy(too_long, RING_POSIX), ENAMETOOLONG);
    assert_fails(ring_destroy(name, 0), EINVAL);
    assert_nothing_left();

    r = OPEN_RING(puppet_current(), longest, RING_POSIX, RING_CAPACITY_MIN, RING_CREATE);
    assert_fails(ring_put(r, arena_string("x"), 1, -2), EINVAL);
    assert_fails(ring_get(r, arena_out("buf", 8), 8, -2), EINVAL);
    put_text(r, "");
    assert_fails(ring_put(r, arena_string("x"), 1, -2), EINVAL); /* also if it need not wait */
    assert_fails(ring_get(r, arena_out("buf", 8), 8, -2), EINVAL);
    assert_next(r, "");
    ring_close(r);
    ring_destroy(longest, RING_POSIX);
}

static void open_respects_create_and_excl_over(int backend)
{
    const char *name = unique_name();
    struct puppet *a = puppet_start();
    struct puppet *b = puppet_start();
    struct ring *in_a, *in_b;

    assert_fails_with_null(ring_open(name, backend, 4096, 0), ENOENT);
    assert_fails(ring_destroy(name, backend), ENOENT);

    in_a = OPEN_RING(a, name, backend, 4096, RING_CREATE | RING_EXCL);
    put_text(in_a, "still here");
    puppet_use(b);
    assert_fails_with_null(ring_open(name, backend, 4096, RING_CREATE | RING_EXCL), EEXIST);
    in_b = OPEN_RING(b, name, backend, 4096, RING_CREATE); /* opens the existing ring */
    assert_next(in_b, "still here");

    ring_close(in_b);
    puppet_use(a);
    ring_close(in_a);
    ring_destroy(name, backend);
}

TEST(open_respects_create_and_excl,
     "Opening a missing ring fails with ENOENT, RING_EXCL on an existing one with EEXIST; "
     "RING_CREATE opens an existing ring with its messages.")
{
    open_respects_create_and_excl_over(RING_POSIX);
}

TEST(sysv_open_respects_create_and_excl,
     "System V: opening a missing ring fails with ENOENT, RING_EXCL on an existing one with "
     "EEXIST; RING_CREATE opens an existing ring with its messages.")
{
    open_respects_create_and_excl_over(RING_SYSV);
}

/* ---- messages ------------------------------------------------------------------ */

TEST(messages_arrive_intact_and_in_order, "Messages, empty ones too, arrive intact and in order, "
                                          "and ring_get changes no byte of buf beyond the message.")
{
    const char *name = unique_name();
    struct ring *r = OPEN_RING(puppet_start(), name, RING_POSIX, 4096, RING_CREATE);
    unsigned char *buf = arena_out("buf", 24), *copy;

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
    copy = test_copy(buf, 24);
    assert_memory_equal(copy, "short", 5);
    for (int i = 5; i < 24; i++)
        if (copy[i] != 0xA5)
            fail_msg("ring_get returned a message of 5 bytes and changed byte %d of buf", i);

    ring_close(r);
    ring_destroy(name, RING_POSIX);
}

/* How many messages of len bytes an empty ring holds. */
static int count_messages(struct ring *r, size_t len)
{
    static const char message[64];
    int n = 0;

    while (n < 100 && ring_put(r, arena_input("message", message, len), len, 0) == 0)
        n++;
    for (int i = 0; i < n; i++)
        assert_int_equal(ring_get(r, arena_out("buf", len), len, 0), len);
    return n;
}

TEST(a_message_costs_its_length_and_padding,
     "A message takes exactly RING_COST(len) bytes of the capacity; a cost above the capacity is "
     "EMSGSIZE for any length.")
{
    const char *name = unique_name();
    struct ring *r = OPEN_RING(puppet_start(), name, RING_POSIX, 64, RING_CREATE);
    static const char message[64];

    assert_int_equal(count_messages(r, 0), 8);
    assert_int_equal(count_messages(r, 1), 4);
    assert_int_equal(count_messages(r, 8), 4);
    assert_int_equal(count_messages(r, 9), 2);
    assert_int_equal(count_messages(r, 24), 2);
    assert_int_equal(count_messages(r, 25), 1);
    assert_int_equal(count_messages(r, 56), 1);
    assert_fails(ring_put(r, arena_input("message", message, 64), 57, -1), EMSGSIZE);
    assert_fails(ring_put(r, arena_input("message", message, 64), SIZE_MAX, -1), EMSGSIZE);
    assert_fails(ring_put(r, arena_input("message", message, 64), SIZE_MAX - 7, -1), EMSGSIZE);
    assert_int_equal(count_messages(r, 56), 1);

    ring_close(r);
    ring_destroy(name, RING_POSIX);
}

TEST(full_and_empty_are_distinguished, "A ring can be filled to the last byte; a full ring accepts "
                                       "no message, and an empty ring returns none.")
{
    const char *name = unique_name();
    struct ring *r = OPEN_RING(puppet_start(), name, RING_POSIX, 32, RING_CREATE);

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

TEST(a_message_too_long_for_the_buffer_stays,
     "If buf is too small for the oldest message, ring_get fails with EMSGSIZE, leaves buf "
     "unchanged, and the message stays the oldest.")
{
    const char *name = unique_name();
    struct ring *r = OPEN_RING(puppet_start(), name, RING_POSIX, 256, RING_CREATE);
    unsigned char *buf = arena_out("buf", 11);

    put_text(r, "hello world");
    put_text(r, "next");
    for (int size = 10; size >= 0; size -= 10) {
        unsigned char *copy;

        assert_fails(ring_get(r, buf, size, -1), EMSGSIZE);
        copy = test_copy(buf, 11);
        for (int i = 0; i < 11; i++)
            if (copy[i] != 0xA5)
                fail_msg("ring_get failed with EMSGSIZE and changed byte %d of buf", i);
    }
    assert_int_equal(ring_get(r, buf, 11, -1), 11);
    assert_memory_equal(test_copy(buf, 11), "hello world", 11);
    assert_next(r, "next");

    ring_close(r);
    ring_destroy(name, RING_POSIX);
}

/* ---- waiting --------------------------------------------------------------------- */

static void get_sleeps_until_a_message_arrives_over(int backend)
{
    const char *name = unique_name();
    struct puppet *a = puppet_start();
    struct puppet *b = puppet_start();
    struct ring *in_a = OPEN_RING(a, name, backend, 64, RING_CREATE);
    struct ring *in_b = OPEN_RING(b, name, backend, 64, 0);
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
        assert_proceeds(b, MESSAGE_NOT_SEEN);
        assert_int_equal(finish(b), 7);
        assert_memory_equal(test_copy(buf, 7), "wake up", 7);
        puppet_use(a);
        put_text(in_a, "another");
        puppet_use(b);
        assert_next(in_b, "another");
    }
    puppet_use(a);
    ring_close(in_a);
    puppet_use(b);
    ring_close(in_b);
    ring_destroy(name, backend);
}

TEST(get_sleeps_until_a_message_arrives,
     "With or without a timeout, ring_get on an empty ring sleeps until a message arrives; it "
     "neither polls nor spins (busy waiting).")
{
    get_sleeps_until_a_message_arrives_over(RING_POSIX);
}

TEST(sysv_get_sleeps_until_a_message_arrives,
     "System V: with or without a timeout, ring_get on an empty ring sleeps until a message "
     "arrives; it neither polls nor spins (busy waiting).")
{
    get_sleeps_until_a_message_arrives_over(RING_SYSV);
}

TEST(timeouts_end_with_etimedout_and_not_early,
     "A timeout, however long, ends with ETIMEDOUT and never early; a timeout of 0 does not wait.")
{
    static const int long_ms[] = {999, 100999, 2147483647};
    const char *name = unique_name();
    struct puppet *a = puppet_start();
    struct ring *r = OPEN_RING(a, name, RING_POSIX, 64, RING_CREATE);

    assert_times_out(r, false);
    fill_ring(r);
    assert_times_out(r, true);
    for (size_t i = 0; i < sizeof(long_ms) / sizeof(*long_ms); i++) {
        struct puppet *p = puppet_start();
        struct ring *in_p = OPEN_RING(p, name, RING_POSIX, 64, 0);
        uint64_t start_ns = now_ns();

        begin(p, ring_put(in_p, arena_string("8 bytes"), 8, long_ms[i]));
        if (puppet_settle(p) == PUPPET_RETURNED) {
            assert_fails(finish(p), ETIMEDOUT);
            if (now_ns() - start_ns < (uint64_t)long_ms[i] * 1000000)
                fail_msg("ring_put with a timeout of %d ms ended early", long_ms[i]);
        }
        puppet_kill(p);
    }
    puppet_use(a);
    ring_close(r);
    ring_destroy(name, RING_POSIX);
}

/* ---- the life of a ring ------------------------------------------------------------ */

TEST(a_ring_outlives_its_processes, "A ring keeps its messages after every process that used it "
                                    "has closed it, exited or been killed.")
{
    const char *name = unique_name();
    struct puppet *a = puppet_start();
    struct ring *in_a = OPEN_RING(a, name, RING_POSIX, 4096, RING_CREATE);
    struct puppet *b, *c;
    struct ring *in_b, *in_c;

    put_text(in_a, "from the first");
    ring_close(in_a);
    puppet_end(a);

    b = puppet_start();
    in_b = OPEN_RING(b, name, RING_POSIX, 4096, 0);
    assert_next(in_b, "from the first");
    put_text(in_b, "from the second");
    puppet_kill(b);

    c = puppet_start();
    in_c = OPEN_RING(c, name, RING_POSIX, 4096, 0);
    assert_next(in_c, "from the second");
    ring_close(in_c);
    ring_destroy(name, RING_POSIX);
}
