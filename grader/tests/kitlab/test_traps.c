/* test_traps.c - the kit's own tests of trap pages, of the arena, and of processes
 * that cannot be seen.  Those named catches_... must fail, with the messages that
 * grader/tests/test_testkit_questions.py expects; all others pass.
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "hostile.h"
#include "strange.h"
#include "support.h"

/* ---- traps ---------------------------------------------------------------------- */

static void check_disposition(enum disposition disposition)
{
    static const char bytes[101] = {[0] = 1, [100] = 41};
    struct puppet *p = puppet_start();

    begin(p, sum_despite(disposition, arena_trap_input("message", bytes, 101, 100), 101));
    assert_trapped(p);
    trap_release(p);
    assert_int_equal(finish(p), 42);
}

TEST(a_trap_holds_although_the_signal_is_blocked, "A rule.")
{
    check_disposition(BLOCKED);
}

TEST(a_trap_holds_although_the_signal_is_ignored, "A rule.")
{
    check_disposition(IGNORED);
}

TEST(a_trap_holds_although_the_signal_is_handled, "A rule.")
{
    check_disposition(HANDLED);
}

TEST(a_signal_cannot_be_made_up_to_look_like_a_trap, "A rule.")
{
    char *buf = arena_trap("message", 100);

    puppet_start();
    assert_fails(queue_segv(buf + 100), EPERM);
}

TEST(catches_a_raised_signal_that_is_no_trap, "A rule.")
{
    struct puppet *p = puppet_start();

    arena_trap("message", 100);
    begin(p, raise_segv());
    assert_trapped(p);
}

TEST(catches_a_trap_that_no_test_waits_for, "A rule.")
{
    char *buf = arena_trap("message", 100);

    sum(buf, 101);
}

/* ---- the arena ------------------------------------------------------------------- */

TEST(the_arena_has_more_than_2048_blocks, "A rule.")
{
    char *blocks[3000];

    for (int i = 0; i < 3000; i++) {
        blocks[i] = arena_alloc("block", 16);
        fill(blocks[i], 16, i % 100);
    }
    for (int i = 0; i < 3000; i++)
        assert_int_equal(blocks[i][15], i % 100);
}

TEST(catches_a_write_behind_the_last_of_many_blocks, "A rule.")
{
    char *block = NULL;

    for (int i = 0; i < 3000; i++)
        block = arena_alloc(i == 2999 ? "last" : "block", 16);
    fill(block, 17, 0);
}

TEST(results_have_the_alignment_asked_for, "A rule.")
{
    unsigned char *out = arena_out_at("out", 100, 4096, 8);

    assert_int_equal((uintptr_t)out % 4096, 8);
    for (int i = 0; i < 100; i++)
        assert_int_equal(out[i], 0xa5);
}

TEST(catches_a_pointer_of_32_bits, "A rule.")
{
    char *byte = arena_alloc("byte", 1);

    read_by_32_bits(byte);
}

/* ---- observation ------------------------------------------------------------------- */

TEST(a_puppet_cannot_hide, "A rule.")
{
    puppet_start();
    assert_fails(hide(), EPERM);
}

/* A program that may be executed and not read, and waits for a byte; run by a user
 * who is not root. */
static struct puppet *with_beacon(int *started)
{
    struct puppet *p = puppet_start();
    int out[2], in[2];

    assert_int_equal(pipe2(out, O_CLOEXEC), 0);
    assert_int_equal(pipe2(in, O_CLOEXEC), 0);
    puppet_give_fd(p, out[1], 30);
    puppet_give_fd(p, in[0], 31);
    close(out[1]);
    fcntl(out[0], F_SETFL, O_NONBLOCK);
    *started = out[0];
    return p;
}

/* Not an input: the process may read it after the call has returned. */
static const char *path_of_unreadable(void)
{
    const char *path = program_path("unreadable");

    return strcpy(arena_alloc("path", strlen(path) + 1), path);
}

TEST(catches_a_puppet_that_made_itself_unreadable, "A rule.")
{
    int started;
    struct puppet *p = with_beacon(&started);
    char byte;

    begin(p, become(path_of_unreadable()));
    WAIT_UNTIL(read(started, &byte, 1) == 1);
    assert_blocked(p);
}

TEST(catches_a_child_that_made_itself_unreadable, "A rule.")
{
    struct fd_info fds[100];
    int started;
    char byte;
    pid_t child;

    with_beacon(&started);
    child = start_child(path_of_unreadable());
    WAIT_UNTIL(read(started, &byte, 1) == 1);
    process_fds(child, fds, 100);
}
