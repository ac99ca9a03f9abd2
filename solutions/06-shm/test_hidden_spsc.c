/* test_hidden_spsc.c - lab 06: rings with RING_SPSC, one producer and one
 * consumer, with and without RING_SPIN. */
#include "test_hidden.h"

TEST(spsc_a_stream_arrives_in_order,
     "With RING_SPSC, with and without RING_SPIN, a stream of messages arrives intact and in "
     "order.")
{
    exchange(RING_POSIX, 128, RING_SPSC, 1);
    exchange(RING_POSIX, 4096, RING_SPSC, 1);
    exchange(RING_POSIX, 128, RING_SPSC | RING_SPIN, 1);
    space_is_reused_only_after_the_copy_over(RING_POSIX, RING_SPSC);
}

/* The producer fills the ring and waits; the consumer waits before that. */
static void producer_and_consumer_sleep(const struct peer *producer, const struct peer *consumer,
                                        int timeout_ms)
{
    static const char longer[] = "as long as two of them.";
    bool timed = timeout_ms > 0;
    int n;

    begin(consumer->puppet, ring_get(consumer->ring, consumer->buf, 24, timeout_ms));
    assert_sleeps(consumer->puppet, timed);
    puppet_use(producer->puppet);
    put_text(producer->ring, "wake up");
    assert_proceeds(consumer->puppet, MESSAGE_NOT_SEEN);
    assert_int_equal(finish(consumer->puppet), 7);

    puppet_use(producer->puppet);
    n = fill_ring(producer->ring);
    begin(producer->puppet,
          ring_put(producer->ring, arena_string(longer), strlen(longer), timeout_ms));
    assert_sleeps(producer->puppet, timed);
    puppet_use(consumer->puppet);
    assert_next(consumer->ring, FILLER);
    assert_sleeps(producer->puppet, timed);
    puppet_use(consumer->puppet);
    assert_next(consumer->ring, FILLER);
    assert_proceeds(producer->puppet, SPACE_NOT_SEEN);
    assert_int_equal(finish(producer->puppet), 0);
    puppet_use(consumer->puppet);
    while (n-- > 2)
        assert_next(consumer->ring, FILLER);
    assert_next(consumer->ring, longer);
}

TEST(spsc_producer_and_consumer_sleep_until_woken,
     "With RING_SPSC, producer and consumer sleep until woken (RING_SPIN may spin), and timeouts "
     "end with ETIMEDOUT, never early.")
{
    const char *name = unique_name();
    struct peer producer = {.puppet = puppet_start()};
    struct peer consumer = {.puppet = puppet_start()};

    producer.ring = OPEN_RING(producer.puppet, name, RING_POSIX, 64, RING_CREATE | RING_SPSC);
    consumer.ring = OPEN_RING(consumer.puppet, name, RING_POSIX, 64, RING_SPSC);
    consumer.buf = arena_out("buf", 24);
    for (int round = 0; round < 4; round++)
        producer_and_consumer_sleep(&producer, &consumer, round < 2 ? -1 : 1000000);
    ring_destroy(name, RING_POSIX);

    for (unsigned spin = 0; spin <= RING_SPIN; spin += RING_SPIN) {
        name = unique_name();
        producer.ring =
            OPEN_RING(producer.puppet, name, RING_POSIX, 64, RING_CREATE | RING_SPSC | spin);
        consumer.ring = OPEN_RING(consumer.puppet, name, RING_POSIX, 64, RING_SPSC | spin);
        assert_times_out(consumer.ring, false);
        puppet_use(producer.puppet);
        fill_ring(producer.ring);
        assert_times_out(producer.ring, true);
        ring_destroy(name, RING_POSIX);
    }
}

static void spsc_a_killed_process_can_be_replaced_over(unsigned flags)
{
    const char *name = unique_name();
    struct puppet *producer, *consumer = puppet_start();
    struct ring *in_p, *in_c = OPEN_RING(consumer, name, RING_POSIX, 512, RING_CREATE | flags);
    const char *text;

    die_in_put(name, RING_POSIX, 512, flags, "of the dead", NULL, NULL);
    producer = puppet_start();
    in_p = OPEN_RING(producer, name, RING_POSIX, 512, flags);
    put_text(in_p, HALF_COPIED);
    put_text(in_p, "the next");
    puppet_use(consumer);
    assert_next(in_c, "of the dead");
    ring_close(in_c);
    die_in_get(name, RING_POSIX, 512, flags, NULL, NULL);

    in_c = OPEN_RING(consumer, name, RING_POSIX, 512, flags);
    text = get_text(in_c);
    if (text != NULL && strcmp(text, HALF_COPIED) == 0)
        text = get_text(in_c);
    if (text == NULL)
        fail_msg("a message that was put is not there");
    assert_string_equal(text, "the next");
    assert_empty(in_c);
    ring_destroy(name, RING_POSIX);
}

TEST(spsc_a_killed_process_can_be_replaced,
     "With RING_SPSC, with and without RING_SPIN, a new producer or consumer continues where one "
     "was killed in the middle of a message.")
{
    spsc_a_killed_process_can_be_replaced_over(RING_SPSC);
    spsc_a_killed_process_can_be_replaced_over(RING_SPSC | RING_SPIN);
}
