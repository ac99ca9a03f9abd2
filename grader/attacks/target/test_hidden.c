/* test_hidden.c - tests with many calls, two processes, and a look around. */
#include "target.h"
#include "testkit.h"

#include <string.h>

enum { LEN_BYTES = 200, CALLS = 300 };

TEST(sum_of_random_bytes, "Any bytes are summed.")
{
    uint64_t state = testkit_seed();
    uint8_t *data = arena_alloc("data", LEN_BYTES);

    for (int call = 0; call < CALLS; call++) {
        uint64_t sum = 0;

        for (int i = 0; i < LEN_BYTES; i++)
            sum += data[i] = random_next(&state);
        assert_int_equal(target_sum(data, LEN_BYTES), sum);
    }
}

TEST(fill_counts_up, "The buffer counts up.")
{
    uint8_t *out = arena_out("out", LEN_BYTES);
    uint8_t copy[LEN_BYTES];

    assert_int_equal(target_fill(out, LEN_BYTES, 100), LEN_BYTES);
    memcpy(copy, out, LEN_BYTES);
    for (int i = 0; i < LEN_BYTES; i++)
        assert_int_equal(copy[i], (uint8_t)(100 + i));

    /* A sweep, as labs make them: until the planned failure did not happen. */
    for (unsigned n = 1;; n++) {
        fault_clear(puppet_current());
        fault_fail(puppet_current(), FAULT_MMAP, n, ENOMEM);
        assert_int_equal(target_fill(arena_out("again", 1), 1, n), 1);
        if (!fault_fired(puppet_current()))
            break;
    }
}

TEST(two_processes_agree, "Two processes get the same sum.")
{
    uint8_t *data = arena_alloc("data", 2);
    struct puppet *one, *other;

    memcpy(data, (uint8_t[]){200, 100}, 2);
    one = puppet_start();
    assert_int_equal(target_sum(data, 2), 300);
    fault_fail(one, FAULT_OPEN, 1, EMFILE);
    data = memcpy(arena_alloc("the same", 2), (uint8_t[]){200, 100}, 2);
    for (int i = 0; i < 8; i++) {
        other = puppet_start();
        assert_int_equal(target_sum(data, 2), 300);
        puppet_end(other);
    }
    puppet_use(one);
    assert_int_equal(target_sum(data, 2), 300);
}

TEST(nothing_is_left_behind, "Nothing is left in the system.")
{
    uint8_t *data = arena_alloc("data", 2);
    struct fd_info fds[500];
    size_t nfds;

    memcpy(data, (uint8_t[]){7, 8}, 2);
    assert_int_equal(target_sum(data, 2), 15);
    nfds = process_fds(puppet_pid(puppet_current()), fds, 500);
    assert_int_equal(target_sum(data, 2), 15);
    assert_fds_are(puppet_pid(puppet_current()), fds, nfds);
    assert_no_children(puppet_current());
    puppet_end(puppet_current());
    assert_nothing_left();
}
