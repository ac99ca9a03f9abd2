/* test_faults.c - the kit's own tests of faults.  Those named catches_... must
 * fail, with the messages that grader/tests/test_testkit_questions.py expects; all
 * others pass.
 */
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "libc_calls.h"
#include "strange.h"
#include "support.h"

/* ---- every function ------------------------------------------------------------ */

static const struct {
    const char *function;
    enum fault_call fault;
} of[] = {
#define ENTRY(function, fault) {#function, fault},
    LIBC_CALLS(ENTRY)};

/* The second call fails as planned, and both are counted. */
static void check_function(size_t i, enum place place)
{
    enum fault_call fault = of[i].fault;
    /* The thread in which the call is made comes from another one. */
    unsigned calls = fault == FAULT_PTHREAD_CREATE && place == IN_A_THREAD ? 2 : 1;
    struct puppet *p = puppet_start();
    int first, second;

    fault_fail(p, fault, 2 * calls, EXDEV);
    first = make_call(i, place);
    second = make_call(i, place);
    if (first != 0 || second != EXDEV || fault_count(p, fault) != 2 * calls)
        fail_call("%s, place %d: returned %d and %d, and was counted %u times", of[i].function,
                  place, first, second, fault_count(p, fault));
    if ((fault_process(p) == puppet_pid(p)) != (place != IN_A_CHILD))
        fail_call("%s, place %d: not where it was expected", of[i].function, place);
    puppet_end(p);
}

static void check_functions(enum place place)
{
    for (size_t i = 0; i < NUMBER_OF_LIBC_CALLS; i++)
        check_function(i, place);
}

TEST(every_function_fails_as_planned, "A rule.")
{
    check_functions(IN_THE_PUPPET);
}

TEST(every_function_fails_as_planned_in_a_child, "A rule.")
{
    check_functions(IN_A_CHILD);
}

TEST(every_function_fails_as_planned_in_a_thread, "A rule.")
{
    check_functions(IN_A_THREAD);
}

/* ---- allocations --------------------------------------------------------------- */

TEST(allocations_within_libc_are_not_counted, "A rule.")
{
    struct puppet *p = puppet_start();

    fault_fail(p, FAULT_MALLOC, 1, ENOMEM);
    assert_int_equal(allocate_within_libc(), 0);
    assert_int_equal(fault_count(p, FAULT_MALLOC), 0);
}

TEST(an_allocation_at_the_end_of_a_function_is_counted, "A rule.")
{
    struct puppet *p = puppet_start();

    fault_fail(p, FAULT_MALLOC, 1, ENOMEM);
    assert_null(allocate_at_the_end(10));
    assert_int_equal(errno, ENOMEM);
}

TEST(an_allocation_fails_and_all_are_freed, "A rule.")
{
    struct puppet *p = puppet_start();

    fault_fail(p, FAULT_MALLOC, 2, ENOMEM);
    assert_int_equal(allocate_and_free(), 8);
    assert_true(fault_fired(p));
}

TEST(a_byte_behind_a_block_is_read, "A rule.") /* an error under Memcheck */
{
    read_behind_a_block(10);
}

/* ---- short transfers ----------------------------------------------------------- */

TEST(vectors_are_made_short, "A rule.")
{
    struct puppet *p = puppet_start();
    char bytes[10] = "";
    int ends[2];

    assert_int_equal(pipe(ends), 0);
    puppet_give_fd(p, ends[0], 20);
    puppet_give_fd(p, ends[1], 21);
    fault_short(p, FAULT_WRITE, 1, 4);
    fault_short(p, FAULT_READ, 1, 3);
    assert_int_equal(vector_write(21), 4);
    assert_int_equal(vector_write(21), 9);
    assert_int_equal(vector_read(20), 3);
    assert_int_equal(vector_read(20), 9);
    assert_int_equal(read(ends[0], bytes, 10), 1);
    assert_string_equal(bytes, "9");
}

/* ---- plans --------------------------------------------------------------------- */

TEST(all_calls_from_the_nth_on_fail, "A rule.")
{
    struct puppet *p = puppet_start();

    puppet_give_fd(p, output_file(), 20);
    fault_fail_from(p, FAULT_WRITE, 3, ENOSPC);
    assert_int_equal(write_bytes(20, 7), 5);
    assert_int_equal(fault_count(p, FAULT_WRITE), 7);
    fault_clear(p);
    assert_int_equal(write_bytes(20, 7), 0);
}

TEST(a_puppet_is_held_before_its_nth_call, "A rule.")
{
    struct puppet *p = puppet_start();
    int file = output_file();

    puppet_give_fd(p, file, 20);
    fault_hold_before(p, FAULT_WRITE, 2);
    begin(p, write_bytes(20, 3));
    assert_int_equal(puppet_settle(p), PUPPET_HELD);
    assert_int_equal(file_size(file), 1);
    assert_int_equal(fault_count(p, FAULT_WRITE), 2);
    assert_int_equal(fault_process(p), puppet_pid(p));
    fault_release(p);
    assert_int_equal(finish(p), 0);
    assert_int_equal(file_size(file), 3);
}

TEST(a_puppet_is_held_behind_its_nth_call, "A rule.")
{
    struct puppet *p = puppet_start();
    int file = output_file();

    puppet_give_fd(p, file, 20);
    fault_hold(p, FAULT_WRITE, 2);
    begin(p, write_bytes(20, 3));
    assert_int_equal(puppet_settle(p), PUPPET_HELD);
    assert_int_equal(file_size(file), 2);
    puppet_kill(p);
    assert_int_equal(file_size(file), 2);
}

TEST(a_call_that_is_not_planned_for_is_not_counted, "A rule.")
{
    struct puppet *p = puppet_start();

    puppet_give_fd(p, output_file(), 20);
    fault_watch(p, FAULT_WRITE);
    assert_int_equal(write_bytes(20, 2), 0);
    assert_int_equal(fault_process(p), 0);
    fault_watch(p, FAULT_READ);
    assert_called(p, FAULT_READ, FAULT_WRITE);
}

TEST(catches_a_call_that_is_never_made, "A rule.")
{
    struct puppet *p = puppet_start();

    fault_watch(p, FAULT_PIPE);
    fault_watch(p, FAULT_MALLOC);
    add(1, 2, 3, 4, 5, 6);
    assert_called(p, FAULT_PIPE, FAULT_MALLOC);
}
