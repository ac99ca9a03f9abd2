/* test_callbacks.c - the kit's own tests of callbacks, and of set-up calls.  Those
 * named catches_... must fail, with the messages that
 * grader/tests/test_testkit_questions.py expects; all others pass.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hostile.h"
#include "strange.h"
#include "stub.h"
#include "support.h"

static unsigned calls;
static int wake_fd = -1; /* a byte goes there with the tenth call */

static uint64_t add_up(struct puppet *p, const uint64_t args[])
{
    (void)p;
    calls++;
    errno = EXDEV; /* not the puppet's */
    return args[0] + 10 * args[1] + 100 * args[2] + 1000 * args[3] + 10000 * args[4] +
           100000 * args[5];
}

static uint64_t next(struct puppet *p, const uint64_t args[])
{
    (void)p;
    calls++;
    if (calls == 10 && wake_fd >= 0)
        assert_int_equal(write(wake_fd, "x", 1), 1);
    return args[0] + 1;
}

static uint64_t pid_of(struct puppet *p, const uint64_t args[])
{
    (void)args;
    calls++;
    return puppet_pid(p);
}

static uint64_t accept_less_than_3(struct puppet *p, const uint64_t args[])
{
    (void)p;
    assert_true(args[0] < 3);
    return 0;
}

static struct puppet *with_pipe(int number)
{
    struct puppet *p = puppet_start();
    int ends[2];

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    puppet_give_fd(p, ends[0], number);
    wake_fd = ends[1];
    return p;
}

TEST(a_callback_gets_its_arguments_and_returns_a_value, "A rule.")
{
    struct puppet *p = puppet_start();
    void *function = callback(p, add_up, 6);

    assert_int_equal(call_six(function, 1), 654321);
    assert_int_equal(errno, 0);
    assert_int_equal(call_six(callback(p, add_up, 2), 1), 21);
    assert_int_equal(call_times(callback(p, next, 1), 3), 6);
    assert_int_equal(calls, 5);
}

TEST(callbacks_are_served_in_a_script, "A rule.")
{
    void *function = callback(puppet_start(), next, 1);
    struct script *s = script_new(100);

    for (long i = 0; i < 100; i++)
        RECORD(s, call_times(function, i));
    script_run(s);
    for (long i = 0; i < 100; i++)
        assert_int_equal(script_result(s, i), i * (i + 1) / 2);
    assert_int_equal(calls, 99 * 100 / 2);
}

TEST(callbacks_are_served_while_another_puppet_is_waited_for, "A rule.")
{
    struct puppet *reader = with_pipe(20), *caller = puppet_start();
    void *function = callback(caller, next, 1);

    begin(reader, read_from(20));
    begin(caller, call_times(function, 20));
    assert_int_equal(finish(reader), 'x'); /* the tenth callback writes it */
    assert_int_equal(finish(caller), 210);
}

TEST(callbacks_are_served_in_every_wait, "A rule.")
{
    struct puppet *p = with_pipe(20);
    void *function = callback(p, next, 1);
    int fd = wake_fd;

    wake_fd = -1;
    begin(p, call_then_read(function, 20, 20));
    WAIT_UNTIL(calls == 20);
    assert_int_equal(write(fd, "y", 1), 1);
    assert_int_equal(finish(p), 'y');
    begin(p, call_then_read(function, 20, 20));
    assert_int_equal(puppet_settle(p), PUPPET_BLOCKED);
    assert_int_equal(calls, 40);
    assert_int_equal(write(fd, "z", 1), 1);
    assert_int_equal(finish(p), 'z');
}

TEST(each_puppet_has_its_own_callbacks, "A rule.")
{
    struct puppet *p[2];

    for (int i = 0; i < 2; i++) {
        p[i] = puppet_start();
        begin(p[i], call_times(callback(p[i], pid_of, 1), 1000));
    }
    for (int i = 0; i < 2; i++)
        assert_int_equal(finish_word(p[i]), 1000 * (uint64_t)puppet_pid(p[i]));
    assert_int_equal(calls, 2000);
}

TEST(threads_call_back_at_once, "A rule.")
{
    void *function = callback(puppet_start(), next, 1);

    assert_int_equal(call_in_threads(function, 50, 20), 50 * 210);
    assert_int_equal(calls, 1000);
}

TEST(a_callback_uses_only_the_arguments_that_were_declared, "A rule.") /* under Memcheck */
{
    void *function = callback(puppet_start(), next, 1);

    assert_int_equal(call_with_undefined_registers(function, 41), 42);
}

TEST(catches_a_callback_of_a_child, "A rule.")
{
    call_in_child(callback(puppet_start(), next, 1));
}

TEST(catches_a_failed_assertion_in_a_callback, "A rule.")
{
    void *function = callback(puppet_start(), accept_less_than_3, 1);

    call_times(function, 5);
}

TEST(catches_a_failed_assertion_in_a_callback_of_a_script, "A rule.")
{
    void *function = callback(puppet_start(), accept_less_than_3, 1);
    struct script *s = script_new(2);

    RECORD(s, call_times(function, 3));
    RECORD(s, call_times(function, 4));
    script_run(s);
}

TEST(catches_callbacks_without_end, "A rule.")
{
    call_for_ever(callback(puppet_start(), next, 1));
}

/* ---- set-up calls --------------------------------------------------------------- */

TEST(a_set_up_call_goes_to_libc, "A rule.")
{
    puppet_start();
    add(1, 1, 1, 1, 1, 1); /* the submission, which defines umask(), is loaded */
    IN_PUPPET(umask, 027);
    assert_int_equal(IN_PUPPET(umask, 022), 027);
}
