/* test_hidden_concurrency.c - lab 06: many producers and consumers at once,
 * and copies that another process meets in the middle. */
#include "test_hidden.h"

/* ---- producers and consumers ----------------------------------------------------------- */

enum { MESSAGES = 150, MAX_BYTES = 64, MAX_PRODUCERS = 4 };

/* Every message starts with its stamp. */
struct stamp {
    uint32_t producer, number;
};

static size_t stamped_bytes(struct stamp s)
{
    return sizeof(s) + (s.producer * 7 + s.number * 13) % (MAX_BYTES - sizeof(s));
}

static void stamp(unsigned char *message, struct stamp s)
{
    random_fill(message, stamped_bytes(s), s.producer * 100000 + s.number);
    memcpy(message, &s, sizeof(s));
}

/* The stamp of a message; fails unless the message is intact. */
static struct stamp check_stamp(const unsigned char *message, size_t len, unsigned producers)
{
    unsigned char expected[MAX_BYTES];
    struct stamp s;

    if (len < sizeof(s) || len > MAX_BYTES)
        fail_msg("a message of %zu bytes arrived, and none of that length was put", len);
    memcpy(&s, message, sizeof(s));
    if (s.producer >= producers || s.number >= MESSAGES || len != stamped_bytes(s))
        fail_msg("a message arrived that no process put");
    stamp(expected, s);
    if (memcmp(expected, message, len) != 0)
        fail_msg("a message arrived that was not intact");
    return s;
}

/* A process with the ring open and a script of MESSAGES calls. */
struct worker {
    struct puppet *puppet;
    struct script *script;
    unsigned char *bytes; /* what a consumer gets, in the arena */
};

static struct worker producer(const char *name, int backend, size_t capacity, unsigned flags,
                              unsigned number)
{
    struct worker w = {.puppet = puppet_start(), .script = script_new(MESSAGES)};
    struct ring *r = OPEN_RING(w.puppet, name, backend, capacity, flags);

    for (unsigned i = 0; i < MESSAGES; i++) {
        unsigned char message[MAX_BYTES];
        struct stamp s = {number, i};
        size_t len = stamped_bytes(s);

        stamp(message, s);
        RECORD(w.script, ring_put(r, arena_input("message", message, len), len, -1));
    }
    return w;
}

static struct worker consumer(const char *name, int backend, size_t capacity, unsigned flags)
{
    struct worker w = {.puppet = puppet_start(), .script = script_new(MESSAGES)};
    struct ring *r = OPEN_RING(w.puppet, name, backend, capacity, flags);

    w.bytes = arena_out("messages", MESSAGES * MAX_BYTES);
    for (unsigned i = 0; i < MESSAGES; i++)
        RECORD(w.script, ring_get(r, w.bytes + i * MAX_BYTES, MAX_BYTES, -1));
    return w;
}

/* Makes a puppet slow inside the critical section, so that the others have to
 * wait for the lock. */
static void delay_unlock(struct puppet *p)
{
    fault_delay(p, FAULT_MUTEX_UNLOCK, testkit_seed(), 100);
    fault_delay(p, FAULT_SEM_POST, testkit_seed(), 100);
    fault_delay(p, FAULT_SEMOP, testkit_seed(), 100);
}

/* What one consumer got: `arrived` counts the messages of all consumers. */
static void check_consumer(const struct worker *w, unsigned producers,
                           unsigned char arrived[][MESSAGES])
{
    uint32_t next[MAX_PRODUCERS] = {0};

    for (unsigned k = 0; k < MESSAGES; k++) {
        unsigned char message[MAX_BYTES];
        struct stamp s;

        memcpy(message, w->bytes + k * MAX_BYTES, MAX_BYTES);
        s = check_stamp(message, script_result(w->script, k), producers);
        if (arrived[s.producer][s.number]++)
            fail_msg("message %u of producer %u arrived twice", s.number, s.producer);
        if (s.number < next[s.producer])
            fail_msg("message %u of producer %u arrived after a later one", s.number, s.producer);
        next[s.producer] = s.number + 1;
    }
}

void exchange(int backend, size_t capacity, unsigned flags, unsigned n)
{
    const char *name = unique_name();
    unsigned char arrived[MAX_PRODUCERS][MESSAGES] = {{0}};
    struct worker producers[MAX_PRODUCERS], consumers[MAX_PRODUCERS];
    struct ring *r;

    puppets_use_all_cpus();
    r = OPEN_RING(puppet_start(), name, backend, capacity, flags | RING_CREATE);
    for (unsigned i = 0; i < n; i++) {
        producers[i] = producer(name, backend, capacity, flags, i);
        consumers[i] = consumer(name, backend, capacity, flags);
    }
    delay_unlock(consumers[n - 1].puppet);
    if (n > 1) /* or else the ring would seldom be full */
        delay_unlock(producers[0].puppet);
    for (unsigned i = 0; i < n; i++) {
        script_start(producers[i].puppet, producers[i].script);
        script_start(consumers[i].puppet, consumers[i].script);
    }
    for (unsigned i = 0; i < n; i++) {
        script_finish(producers[i].puppet, producers[i].script);
        script_finish(consumers[i].puppet, consumers[i].script);
    }
    for (unsigned i = 0; i < n; i++) {
        for (unsigned k = 0; k < MESSAGES; k++)
            assert_int_equal((int)script_result(producers[i].script, k), 0);
        check_consumer(&consumers[i], n, arrived);
    }
    r = OPEN_RING(consumers[0].puppet, name, backend, capacity, flags);
    assert_empty(r);
    ring_destroy(name, backend);
}

TEST(four_producers_and_four_consumers_lose_no_message,
     "With four producers and four consumers, every message arrives intact and exactly once; "
     "those of one producer arrive in order.")
{
    exchange(RING_POSIX, 256, 0, 4);
}

TEST(sysv_four_producers_and_four_consumers_lose_no_message,
     "System V: with four producers and four consumers, every message arrives intact and exactly "
     "once; those of one producer arrive in order.")
{
    exchange(RING_SYSV, 256, 0, 4);
}

/* ---- copies that are interrupted in the middle ----------------------------------------------- */

/* More than memcpy keeps in registers; the copy stops after the first part. */
enum { LONG_BYTES = 4000, BYTES_BEFORE_TRAP = 1000 };

/* What random_fill() makes of a seed. */
static const unsigned char *long_message(uint64_t seed)
{
    unsigned char *message = test_alloc(LONG_BYTES);

    random_fill(message, LONG_BYTES, seed);
    return message;
}

static const void *long_input(uint64_t seed)
{
    return arena_input("message", long_message(seed), LONG_BYTES);
}

static void assert_long_message(const unsigned char *copy, ssize_t len, uint64_t seed,
                                const char *what)
{
    if (len != LONG_BYTES || memcmp(copy, long_message(seed), LONG_BYTES) != 0)
        fail_msg("%s did not arrive as it was put", what);
}

/* Messages 1 and 2, either of which may be the older one. */
static void assert_both_arrived(const unsigned char *one, const unsigned char *other,
                                ssize_t len_of_other)
{
    uint64_t seed = one[0] == long_message(1)[0] ? 1 : 2;

    assert_long_message(one, LONG_BYTES, seed, "one of two messages that were put concurrently");
    assert_long_message(other, len_of_other, 3 - seed,
                        "the other of two messages that were put concurrently");
}

static void concurrent_calls_do_not_mix_messages_over(int backend, unsigned flags)
{
    const char *name = unique_name();
    struct puppet *a = puppet_start();
    struct puppet *b = puppet_start();
    struct ring *in_a = OPEN_RING(a, name, backend, 16384, RING_CREATE | flags);
    struct ring *in_b = OPEN_RING(b, name, backend, 16384, flags);
    unsigned char *one = arena_trap("one", BYTES_BEFORE_TRAP);
    unsigned char *other = arena_out("other", LONG_BYTES);
    int len;

    begin(a, ring_put(in_a,
                      arena_trap_input("message", long_message(1), LONG_BYTES, BYTES_BEFORE_TRAP),
                      LONG_BYTES, -1));
    assert_trapped(a);
    begin(b, ring_put(in_b, long_input(2), LONG_BYTES, 0)); /* there is space */
    puppet_settle(b);
    trap_release(a);
    assert_int_equal(finish(a), 0);
    if (finish(b) != 0)
        fail_msg("there is space, another process is in the middle of ring_put, and ring_put "
                 "with a timeout of 0 failed with %s",
                 error_name(errno));

    begin(a, ring_get(in_a, one, LONG_BYTES, -1));
    assert_trapped(a);
    begin(b, ring_get(in_b, other, LONG_BYTES, 0)); /* there are two messages */
    puppet_settle(b);
    trap_release(a);
    assert_int_equal(finish(a), LONG_BYTES);
    len = finish(b);
    if (len < 0)
        fail_msg("there is a message, another process is in the middle of ring_get, and ring_get "
                 "with a timeout of 0 failed with %s",
                 error_name(errno));
    assert_both_arrived(test_copy(one, LONG_BYTES), test_copy(other, LONG_BYTES), len);
    puppet_use(a);
    assert_empty(in_a);
    ring_destroy(name, backend);
}

TEST(concurrent_calls_do_not_mix_messages,
     "Concurrent calls to ring_put or ring_get do not mix messages, and a locked ring does not "
     "make a timeout of 0 fail.")
{
    concurrent_calls_do_not_mix_messages_over(RING_POSIX, 0);
    concurrent_calls_do_not_mix_messages_over(RING_POSIX, RING_SPIN);
}

void space_is_reused_only_after_the_copy_over(int backend, unsigned flags)
{
    const size_t capacity = 2 * RING_COST(LONG_BYTES) + 8; /* two messages, no third */
    const char *name = unique_name();
    struct puppet *a = puppet_start();
    struct puppet *b = puppet_start();
    struct ring *in_a = OPEN_RING(a, name, backend, capacity, flags | RING_CREATE);
    struct ring *in_b = OPEN_RING(b, name, backend, capacity, flags);
    unsigned char *buf = arena_trap("buf", BYTES_BEFORE_TRAP);
    int len;

    for (uint64_t seed = 1; seed <= 2; seed++)
        assert_int_equal(ring_put(in_b, long_input(seed), LONG_BYTES, 0), 0);
    begin(a, ring_get(in_a, buf, LONG_BYTES, -1));
    assert_trapped(a);
    begin(b, ring_put(in_b, long_input(3), LONG_BYTES, -1));
    puppet_settle(b);
    trap_release(a);
    len = finish(a);
    assert_long_message(test_copy(buf, LONG_BYTES), len, 1,
                        "a message whose space another process waited for");
    assert_int_equal(finish(b), 0);

    puppet_use(a);
    for (uint64_t seed = 2; seed <= 3; seed++) {
        len = (int)ring_get(in_a, buf, LONG_BYTES, 0);
        assert_long_message(test_copy(buf, LONG_BYTES), len, seed, "a later message");
    }
    assert_empty(in_a);
    ring_destroy(name, backend);
}

TEST(space_is_reused_only_after_the_copy,
     "On a full ring, ring_get copies a message out completely before a waiting ring_put reuses "
     "its space.")
{
    space_is_reused_only_after_the_copy_over(RING_POSIX, 0);
}

TEST(sysv_concurrent_calls_do_not_mix_messages,
     "System V: concurrent calls do not mix messages, and a message is copied out completely "
     "before its space is reused.")
{
    concurrent_calls_do_not_mix_messages_over(RING_SYSV, 0);
    space_is_reused_only_after_the_copy_over(RING_SYSV, 0);
}
