/* test_public.c - the kit's own tests.  Those named catches_... must fail,
 * with the messages that grader/tests/test_testkit.py expects; all others pass.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "strange.h"
#include "testkit.h"
#include "shared/wire.h"

/* ---- calls -------------------------------------------------------------- */

TEST(six_arguments_arrive_and_a_value_comes_back, "A rule.")
{
    assert_int_equal(add(1, -2, 30, 400, 5000, 60000), 65429);
}

TEST(errno_is_carried_back, "A rule.")
{
    assert_int_equal(set_errno(EXDEV), -1);
    assert_int_equal(errno, EXDEV);
    add(0, 0, 0, 0, 0, 0);
    assert_int_equal(errno, 0);
}

TEST(pointers_mean_the_same_on_both_sides, "A rule.")
{
    char *buf = arena_alloc("buf", 100);

    assert_ptr_equal(echo(buf), buf);
    fill(buf, 100, 'x');
    assert_int_equal(buf[99], 'x');
}

TEST(several_puppets_share_the_arena, "A rule.")
{
    char *buf = arena_alloc("buf", 3);

    for (int i = 0; i < 3; i++) {
        puppet_start();
        fill(buf + i, 1, 'a' + i);
    }
    assert_memory_equal(buf, "abc", 3);
}

TEST(a_script_runs_in_order_and_refers_to_its_own_values, "A rule.")
{
    struct script *s = script_new(3);
    size_t first = RECORD(s, add(1, 2, 3, 4, 5, 6));
    size_t second = RECORD(s, echo(script_value(s, first)));
    size_t third = RECORD(s, set_errno(ENOSPC));

    script_run(s);
    assert_int_equal(script_result(s, second), 21);
    assert_int_equal(script_errno(s, third), ENOSPC);
    assert_int_equal(script_errno(s, first), 0);
}

TEST(catches_a_function_that_is_not_defined, "A rule.")
{
    missing_function();
}

TEST(catches_a_crash, "A rule.")
{
    add(1, 1, 1, 1, 1, 1);
    crash();
}

TEST(catches_exit_0, "A rule.")
{
    leave(0);
}

TEST(catches_exit_in_a_script, "A rule.")
{
    struct script *s = script_new(2);

    RECORD(s, add(1, 1, 1, 1, 1, 1));
    RECORD(s, leave_at_once(0));
    script_run(s);
}

TEST(catches_an_endless_loop, "A rule.")
{
    spin();
}

TEST(catches_the_end_of_its_cpu_time, "A rule.")
{
    spin_until_sigxcpu();
}

TEST(catches_a_condition_that_never_holds, "A rule.")
{
    volatile bool never = false;

    WAIT_UNTIL(never);
}

TEST(catches_a_sleep_for_ever, "A rule.")
{
    sleep_until_signal();
}

TEST(catches_a_puppet_that_stops_itself, "A rule.")
{
    stop_self();
}

TEST(catches_a_daemon_that_keeps_the_socket, "A rule.")
{
    daemon_and_die();
}

TEST(catches_closed_descriptors, "A rule.")
{
    close_all();
}

/* ---- forgery --------------------------------------------------------------- */

TEST(catches_a_child_that_returns, "A rule.")
{
    fork_and_return();
}

TEST(catches_a_child_that_returns_while_its_parent_waits, "A rule.")
{
    return_in_child_only();
}

TEST(catches_a_reply_without_the_nonce, "A rule.")
{
    forge(FRAME_RETURNED);
}

TEST(catches_a_reply_of_a_child, "A rule.")
{
    forge_from_child();
}

TEST(catches_replies_in_advance, "A rule.")
{
    flood();
    assert_int_equal(add(0, 0, 0, 0, 0, 0), 0);
}

TEST(the_memory_of_the_fork_server_cannot_be_read, "A rule.")
{
    assert_int_equal(read_fork_server_memory(), getuid() == 0 ? 0 : -1);
}

/* ---- the arena ------------------------------------------------------------- */

TEST(catches_a_write_past_the_end, "A rule.")
{
    fill(arena_alloc("meta", 10), 11, 0);
}

TEST(catches_a_write_in_front, "A rule.")
{
    fill((char *)arena_alloc("meta", 10) - 1, 1, 0);
}

TEST(catches_a_write_far_behind_all_blocks, "A rule.")
{
    char *block = arena_alloc("meta", 10);

    fill(block + (100 << 20), 1, 'x');
    fill(block + (100 << 20), 1, 0); /* too late */
}

TEST(a_read_far_behind_all_blocks_is_harmless, "A rule.")
{
    assert_int_equal(sum((char *)arena_alloc("meta", 10) + (100 << 20), 1), 0);
}

TEST(a_trap_stops_a_copy_in_the_middle, "A rule.")
{
    const char bytes[101] = {0};
    const char *buf = arena_trap_input("message", bytes, 101, 100);
    struct puppet *p = puppet_start();

    assert_int_equal(sum(buf, 100), 0);
    begin(p, sum(buf, 101));
    assert_trapped(p);
    puppet_kill(p);
}

TEST(a_trapped_copy_continues_after_trap_release, "A rule.")
{
    const char bytes[101] = {[100] = 42};
    struct puppet *p = puppet_start();

    begin(p, sum(arena_trap_input("message", bytes, 101, 100), 101));
    assert_trapped(p);
    trap_release(p);
    assert_int_equal(finish(p), 42);
}

TEST(misaligned_blocks_have_the_offset_asked_for, "A rule.")
{
    char *block = arena_alloc_at("block", 100, 4096, 48);

    assert_int_equal((uintptr_t)block % 4096, 48);
}

TEST(an_argv_is_copied_with_its_strings, "A rule.")
{
    const char *const argv[] = {"ls", "-1", NULL};
    char *const *copy = arena_argv(argv);

    assert_string_equal(copy[0], "ls");
    assert_string_equal(copy[1], "-1");
    assert_null(copy[2]);
}

TEST(the_test_has_memory_of_its_own, "A rule.")
{
    char *bytes = test_alloc(3), *copy;

    assert_memory_equal(bytes, "\0\0", 3);
    memcpy(bytes, "ab", 3);
    copy = test_copy(bytes, 3);
    bytes[0] = 'x';
    assert_string_equal(copy, "ab");
    assert_string_equal(test_string(copy), "ab");
}

/* ---- what a test must not rely on ------------------------------------------ */

TEST(catches_an_input_that_is_read_back, "A rule.")
{
    const char *input = arena_string("a");

    assert_int_equal(sum(input, 1), 'a');
    assert_memory_equal(input, "a", 2);
}

TEST(catches_an_input_that_is_passed_twice, "A rule.")
{
    const char *input = arena_string("a");

    assert_int_equal(sum(input, 1), 'a');
    assert_int_equal(sum(input, 1), 'a');
}

TEST(catches_an_input_that_is_passed_by_two_runs_of_a_script, "A rule.")
{
    struct script *s = script_new(1);

    RECORD(s, sum(arena_string("a"), 1));
    script_run(s);
    script_run(s);
    assert_int_equal(script_result(s, 0), 'a');
}

TEST(catches_an_input_that_is_kept_while_another_call_waits, "A rule.")
{
    struct puppet *p = puppet_start(), *q = puppet_start();
    const char bytes[2] = "a", *input;

    begin(p, sum(arena_trap_input("message", bytes, 2, 1), 2));
    assert_trapped(p);
    puppet_use(q);
    input = echo((void *)arena_string("a"));
    assert_int_equal(sum(input, 1), 'a');
}

TEST(catches_an_input_that_is_kept_within_a_script, "A rule.")
{
    struct script *s = script_new(2);
    size_t kept = RECORD(s, echo((void *)arena_string("a")));

    RECORD(s, sum(script_value(s, kept), 1));
    script_run(s);
    assert_int_equal(script_result(s, 1), 'a');
}

TEST(catches_a_result_that_is_read_late, "A rule.")
{
    char *out = arena_out("out", 1);

    fill(out, 1, 'a');
    add(0, 0, 0, 0, 0, 0);
    assert_int_equal(*out, 'a');
}

TEST(a_result_is_read_after_its_call, "A rule.")
{
    char *out = arena_out("out", 1);

    fill(out, 1, 'a');
    assert_int_equal(*out, 'a');
}

TEST(lasting_memory_stays, "A rule.")
{
    char *memory = arena_alloc("memory", 1);

    fill(memory, 1, 'a');
    add(0, 0, 0, 0, 0, 0);
    assert_int_equal(*memory, 'a');
}

TEST(an_input_stays_until_its_script_has_run, "A rule.")
{
    struct script *s = script_new(1);

    RECORD(s, sum(arena_string("a"), 1));
    add(0, 0, 0, 0, 0, 0);
    script_run(s);
    assert_int_equal(script_result(s, 0), 'a');
}

TEST(an_input_stays_while_a_call_is_outstanding, "A rule.")
{
    struct puppet *p = puppet_start(), *q = puppet_start();
    const char bytes[2] = "a";

    begin(p, sum(arena_trap_input("message", bytes, 2, 1), 2));
    assert_trapped(p);
    puppet_use(q);
    add(0, 0, 0, 0, 0, 0);
    trap_release(p);
    assert_int_equal(finish(p), 'a');
}

/* ---- blocked, spinning, polling --------------------------------------------- */

static void give_pipe(struct puppet *p, int ends[2], int number)
{
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    puppet_give_fd(p, ends[0], number);
}

static size_t threads_of(pid_t pid)
{
    char path[64];
    struct stat directory;

    snprintf(path, sizeof path, "/proc/%d/task", pid);
    return stat(path, &directory) == 0 ? directory.st_nlink - 2 : 0;
}

TEST(a_blocked_call_is_seen_and_can_be_finished, "A rule.")
{
    struct puppet *p = puppet_start();
    int ends[2];

    give_pipe(p, ends, 20);
    begin(p, read_from(20));
    assert_blocked(p);
    assert_int_equal(write(ends[1], "x", 1), 1);
    assert_int_equal(finish(p), 'x');
}

TEST(a_hold_can_be_released_before_it_happens, "A rule.")
{
    struct puppet *p = puppet_start();
    int ends[2];

    give_pipe(p, ends, 20);
    fault_hold(p, FAULT_READ, 1);
    begin(p, read_from(20));
    assert_blocked(p);
    fault_release(p);
    assert_int_equal(write(ends[1], "x", 1), 1);
    assert_int_equal(finish(p), 'x');
}

TEST(memory_is_private_after_fork, "A rule.")
{
    int *number = arena_alloc("number", sizeof *number);

    puppet_start();
    *number = 42;
    assert_int_equal(child_and_grandchild_write(number), 42);
    assert_int_equal(*number, 42);
}

TEST(memory_is_lost_in_a_child, "A rule.")
{
    assert_int_equal(lose_memory(1), 0);
    assert_int_equal(lose_memory(2), 0);
    assert_int_equal(spawn_with_disguised_pointer(), 0);
}

TEST(memory_is_lost_in_a_puppet, "A rule.")
{
    assert_int_equal(lose_memory(0), 0);
}

TEST(a_thread_that_ends_takes_its_cpu_time_with_it, "A rule.")
{
    struct puppet *p = puppet_start();
    int threads[2], ends[2];

    give_pipe(p, threads, 20);
    give_pipe(p, ends, 21);
    assert_int_equal(leave_a_busy_thread(20), 0);
    begin(p, read_after_the_thread(21));
    assert_blocked(p);
    assert_int_equal(write(threads[1], "x", 1), 1);
    WAIT_UNTIL(threads_of(puppet_pid(p)) == 1);
    assert_blocked(p);
    assert_int_equal(write(ends[1], "y", 1), 1);
    assert_int_equal(finish(p), 'y');
}

TEST(a_sleep_with_a_limit_is_blocked_where_the_call_has_a_timeout, "A rule.")
{
    struct puppet *p = puppet_start();
    int ends[2];

    give_pipe(p, ends, 20);
    begin(p, timed_read_from(20, 60000));
    assert_blocked_with_timeout(p);
    assert_int_equal(write(ends[1], "y", 1), 1);
    assert_int_equal(finish(p), 'y');
}

TEST(a_call_that_returned_is_not_taken_for_blocked, "A rule.")
{
    struct puppet *p = puppet_start();

    begin(p, add(1, 1, 1, 1, 1, 1));
    assert_int_equal(puppet_settle(p), PUPPET_RETURNED);
    assert_int_equal(finish_word(p), 6);
}

/* Begins a call beside which a program sleeps that the submission started. */
static struct puppet *begin_beside_a_program(void)
{
    struct puppet *p = puppet_start();
    int ends[2];

    give_pipe(p, ends, 20);
    begin(p, read_beside_a_program(20));
    return p;
}

TEST(a_program_may_sleep_beside_a_blocked_call, "A rule.")
{
    struct puppet *p = begin_beside_a_program();

    assert_blocked(p);
    puppet_kill(p);
}

TEST(catches_a_program_where_children_are_forbidden, "A rule.")
{
    struct puppet *p = begin_beside_a_program();

    forbid_children(); /* for the tests behind this one, too; none of them starts a program */
    assert_blocked(p);
}

TEST(catches_a_sleep_with_a_limit_where_the_call_has_no_timeout, "A rule.")
{
    struct puppet *p = puppet_start();
    int ends[2];

    give_pipe(p, ends, 20);
    begin(p, timed_read_from(20, 60000));
    assert_blocked(p);
}

TEST(catches_spinning, "A rule.")
{
    struct puppet *p = puppet_start();

    begin(p, spin());
    assert_blocked(p);
}

TEST(catches_polling, "A rule.")
{
    struct puppet *p = puppet_start();

    begin(p, nap());
    assert_blocked_with_timeout(p);
}

TEST(catches_a_return_where_it_should_wait, "A rule.")
{
    struct puppet *p = puppet_start();

    begin(p, add(1, 1, 1, 1, 1, 1));
    assert_blocked(p);
}

TEST(two_puppets_take_turns, "A rule.")
{
    struct puppet *reader = puppet_start();
    struct puppet *other = puppet_start();
    int ends[2];

    give_pipe(reader, ends, 20);
    begin(reader, read_from(20));
    assert_blocked(reader);
    puppet_use(other);
    assert_int_equal(add(1, 0, 0, 0, 0, 0), 1);
    puppet_kill(reader);
    assert_int_equal(add(2, 0, 0, 0, 0, 0), 2);
}

/* ---- processes and objects ---------------------------------------------------- */

TEST(catches_a_descriptor_that_leaks, "A rule.")
{
    struct fd_info before[100];
    struct puppet *p = puppet_start();
    size_t n;

    add(0, 0, 0, 0, 0, 0);
    n = process_fds(puppet_pid(p), before, 100);
    assert_int_equal(n, 3);
    open_leak();
    assert_fds_are(puppet_pid(p), before, n);
}

TEST(a_descriptor_is_given_and_closed, "A rule.")
{
    struct fd_info fds[100];
    struct puppet *p = puppet_start();
    int ends[2];

    give_pipe(p, ends, 33);
    assert_int_equal(process_fds(puppet_pid(p), fds, 100), 4);
    assert_int_equal(fds[3].fd, 33);
    assert_false(fds[3].cloexec);
    puppet_close_fd(p, 33);
    assert_int_equal(process_fds(puppet_pid(p), fds, 100), 3);
}

TEST(catches_a_zombie, "A rule.")
{
    struct puppet *p = puppet_start();

    zombie();
    assert_no_children(p);
}

TEST(catches_an_object_left_behind, "A rule.")
{
    make_objects(arena_string(object_name("left")));
    assert_nothing_left();
}

TEST(an_object_that_was_removed_is_not_left_behind, "A rule.")
{
    const char *name = object_name("gone");

    assert_int_equal(make_objects(arena_string(name)), 0);
    assert_true(*leftovers() != '\0');
    assert_int_equal(remove_objects(arena_string(name)), 0);
    assert_nothing_left();
}

TEST(a_puppet_executes_a_program, "A rule.")
{
    struct puppet *p = puppet_start();
    const char *const argv[] = {program_path("beacon"), NULL};
    int out[2], in[2];
    char byte;

    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    puppet_give_fd(p, out[1], 30);
    puppet_give_fd(p, in[0], 31);
    puppet_exec(p, argv);
    assert_int_equal(read(out[0], &byte, 1), 1);
    assert_int_equal(byte, 'b');
    assert_int_equal(write(in[1], "\7", 1), 1);
    assert_int_equal(WEXITSTATUS(puppet_wait(p)), 7);
}

TEST(the_arguments_of_a_program_are_not_in_the_arena, "A rule.")
{
    const char *const argv[] = {program_path("beacon"), "an argument", NULL};
    char *begin = arena_out("begin", 1), *end;
    int out[2];
    char byte;

    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    puppet_give_fd(puppet_start(), out[1], 30);
    puppet_exec(puppet_current(), argv);
    assert_int_equal(read(out[0], &byte, 1), 1);
    end = arena_out("end", 1);
    assert_null(memmem(begin, end - begin, argv[0], strlen(argv[0])));
    assert_null(memmem(begin, end - begin, argv[1], strlen(argv[1])));
}

TEST(catches_a_program_that_is_not_there, "A rule.")
{
    const char *const argv[] = {"/nowhere/at/all", NULL};

    puppet_exec(puppet_start(), argv);
}

TEST(a_killed_puppet_has_its_wait_status, "A rule.")
{
    struct puppet *p = puppet_start();

    puppet_kill(p);
    assert_true(WIFSIGNALED(puppet_wait(p)));
    assert_int_equal(WTERMSIG(puppet_wait(p)), SIGKILL);
}

/* ---- faults ---------------------------------------------------------------- */

TEST(the_nth_call_fails_with_the_errno_planned, "A rule.")
{
    struct puppet *p = puppet_start();

    fault_fail(p, FAULT_FORK, 3, EAGAIN);
    assert_int_equal(fork_calls(5), -1);
    assert_int_equal(errno, EAGAIN);
    assert_int_equal(fault_count(p, FAULT_FORK), 3);
    assert_true(fault_fired(p));
    fault_clear(p);
    assert_int_equal(fork_calls(5), 0);
    assert_false(fault_fired(p));
}

TEST(a_fault_that_is_not_reached_never_fires, "A rule.")
{
    struct puppet *p = puppet_start();

    fault_fail(p, FAULT_FORK, 3, EAGAIN);
    assert_int_equal(fork_calls(2), 0);
    assert_false(fault_fired(p));
}

TEST(a_read_is_made_short_and_another_interrupted, "A rule.")
{
    struct puppet *p = puppet_start();
    char *buf = arena_out("buf", 10);
    int ends[2];

    give_pipe(p, ends, 20);
    assert_int_equal(write(ends[1], "0123456789", 10), 10);
    fault_short(p, FAULT_READ, 1, 4);
    fault_fail(p, FAULT_READ, 2, EINTR);
    assert_int_equal(read_all(20, buf, 10), 3);
    assert_memory_equal(buf, "0123456789", 10);
}

TEST(a_planned_pause_is_not_taken_for_blocking, "A rule.")
{
    struct puppet *p = puppet_start();

    fault_delay(p, FAULT_FORK, 7, 20000);
    begin(p, fork_calls(10));
    assert_int_equal(puppet_settle(p), PUPPET_RETURNED);
    assert_int_equal(finish(p), 0);
}

TEST(a_thread_may_be_in_a_wrapper_when_its_call_returns, "A rule.")
{
    struct puppet *p = puppet_start();

    fault_delay(p, FAULT_OPEN, 7, 1000);
    for (int i = 0; i < 20; i++)
        assert_int_equal(leave_a_thread(), 0);
    assert_true(fault_count(p, FAULT_OPEN) > 0);
    assert_int_equal(add(1, 2, 3, 4, 5, 6), 21);
}

TEST(a_script_is_blocked_after_many_calls_too, "A rule.")
{
    struct script *s = script_new(1);
    struct puppet *p = puppet_start();
    int ends[2];

    give_pipe(p, ends, 20);
    for (int i = 0; i < 300; i++)
        add(0, 0, 0, 0, 0, 0);
    RECORD(s, read_from(20));
    script_start(p, s);
    assert_blocked(p);
    assert_int_equal(write(ends[1], "z", 1), 1);
    script_finish(p, s);
    assert_int_equal(script_result(s, 0), 'z');
}

TEST(shared_mappings_have_another_address_in_every_puppet, "A rule.")
{
    const char *name = object_name("map");
    void *first, *second;

    fault_displace_maps(puppet_start());
    first = map_shared(arena_string(name));
    fault_displace_maps(puppet_start());
    second = map_shared(arena_string(name));
    remove_objects(arena_string(name));
    assert_non_null(first);
    assert_non_null(second);
    assert_ptr_not_equal(first, second);
}

/* ---- faults that did not happen ------------------------------------------------ */

TEST(catches_a_fault_that_was_never_reached, "A rule.")
{
    struct puppet *p = puppet_start();

    fault_hold(p, FAULT_WAIT, 4);
    fault_fail(p, FAULT_FORK, 2, EAGAIN); /* this one happens */
    assert_int_equal(fork_calls(3), 0);
}

TEST(catches_a_fault_that_was_planned_too_late, "A rule.")
{
    struct puppet *p = puppet_start();

    fault_watch(p, FAULT_FORK);
    assert_int_equal(fork_calls(3), 0);
    fault_fail(p, FAULT_FORK, 1, EAGAIN);
    assert_int_equal(fork_calls(1), -1);
}
