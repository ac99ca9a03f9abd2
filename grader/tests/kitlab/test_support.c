/* test_support.c - tests of support.h.  Those named catches_... must fail,
 * with the messages that grader/tests/test_testkit_support.py expects; all
 * others pass.  A comment LINE(name) marks the line that a failure must name.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "strange.h"
#include "support.h"

/* ---- random numbers --------------------------------------------------------- */

TEST(random_numbers_stay_in_their_range, "A rule.")
{
    uint64_t state = testkit_seed();
    bool seen[5] = {false};

    for (int i = 0; i < 1000; i++) {
        uint64_t n = random_between(&state, 3, 7);

        assert_in_range(n, 3, 7);
        seen[n - 3] = true;
        assert_in_range(random_below(&state, 10), 0, 9);
    }
    for (int i = 0; i < 5; i++)
        assert_true(seen[i]);
    assert_int_equal(random_between(&state, 4, 4), 4);
    assert_int_equal(random_below(&state, 1), 0);
    random_between(&state, 0, UINT64_MAX);
}

TEST(random_below_is_the_remainder_of_random_next, "A rule.")
{
    uint64_t a = 42, b = 42;

    for (int i = 0; i < 100; i++)
        assert_int_equal(random_below(&a, 1000), random_next(&b) % 1000);
}

TEST(a_shuffle_keeps_the_items_and_changes_their_order, "A rule.")
{
    uint64_t state = 1;
    int items[100];
    unsigned moved = 0, sum = 0;

    for (int i = 0; i < 100; i++)
        items[i] = i;
    random_shuffle(&state, items, 100, sizeof *items);
    for (int i = 0; i < 100; i++) {
        moved += items[i] != i;
        sum += (unsigned)items[i];
    }
    assert_int_equal(sum, 4950);
    assert_true(moved > 50);
    random_shuffle(&state, items, 1, sizeof *items);
    random_shuffle(&state, items, 0, sizeof *items);
}

TEST(a_seed_fills_memory_the_same_again, "A rule.")
{
    char a[32], b[32], other[32];

    random_fill(a, sizeof a, 7);
    random_fill(b, sizeof b, 7);
    random_fill(other, sizeof other, 8);
    assert_memory_equal(a, b, sizeof a);
    assert_memory_not_equal(a, other, sizeof a);
}

/* ---- text -------------------------------------------------------------------- */

TEST(text_is_appended, "A rule.")
{
    char text[20] = "";

    assert_true(text_add(text, sizeof text, "%d", 1));
    assert_true(text_add(text, sizeof text, ", %s", "two"));
    assert_string_equal(text, "1, two");
}

TEST(text_that_does_not_fit_is_cut_off, "A rule.")
{
    struct {
        char text[10], after[4];
    } space = {"", "ok"};

    assert_true(text_add(space.text, sizeof space.text, "123456789"));
    assert_string_equal(space.text, "123456789");
    assert_false(text_add(space.text, sizeof space.text, "x"));
    assert_string_equal(space.text, "123456...");
    assert_false(text_add(space.text, sizeof space.text, "x"));
    assert_string_equal(space.text, "123456...");
    assert_string_equal(space.after, "ok");
}

TEST(text_is_quoted_as_in_c, "A rule.")
{
    char text[1000];

    assert_string_equal(quoted("a\n\7\xff"), "a\\n\\x07\\xff");
    assert_string_equal(quoted(""), "");
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    assert_in_range(strlen(quoted(text)), 290, 303);
    assert_string_equal(quoted(text) + strlen(quoted(text)) - 4, "a...");
    memset(text, '\1', sizeof text - 1);
    assert_in_range(strlen(quoted(text)), 290, 303);
}

TEST(errors_signals_and_statuses_have_names, "A rule.")
{
    assert_string_equal(error_name(EAGAIN), "EAGAIN");
    assert_string_equal(error_name(0), "no error");
    assert_string_equal(error_name(4711), "errno 4711");
    assert_string_equal(signal_name(SIGKILL), "SIGKILL");
    assert_string_equal(signal_name(SIGRTMAX), "signal 64");
    assert_string_equal(status_text(W_EXITCODE(3, 0)), "ended with exit status 3");
    assert_string_equal(status_text(W_EXITCODE(0, SIGTERM)), "was killed by SIGTERM");
    assert_non_null(strstr(status_text(W_STOPCODE(SIGSTOP)), "no status of a process that ended"));
}

TEST(the_clock_goes_forward, "A rule.")
{
    uint64_t start_ns = now_ns();

    usleep(1000);
    assert_true(now_ns() - start_ns >= 1000000);
}

/* ---- failures in the caller's line ---------------------------------------------- */

static void assert_even(int n)
{
    if (n % 2 != 0)
        fail_call("%d is odd; expected: an even number", n);
}
#define assert_even(...) FROM_HERE(assert_even(__VA_ARGS__))

TEST(catches_a_failure_of_a_helper, "A rule.")
{
    assert_even(2);
    assert_even(3); /* LINE(catches_a_failure_of_a_helper) */
}

TEST(catches_a_helper_that_was_called_by_another_helper, "A rule.") /* LINE(the_same) */
{
    fail_call("no line is known");
}

TEST(a_call_that_fails_as_expected_passes, "A rule.")
{
    assert_fails(set_errno(ENOENT), ENOENT);
    assert_fails_with_null((errno = ENOMEM, NULL), ENOMEM);
}

TEST(catches_a_call_that_succeeds, "A rule.")
{
    assert_fails((int)add(1, 2, 3, 4, 5, 6), EINVAL); /* LINE(catches_a_call_that_succeeds) */
}

TEST(catches_another_errno, "A rule.")
{
    assert_fails(set_errno(ENOENT), EINVAL); /* LINE(catches_another_errno) */
}

TEST(catches_a_pointer_that_should_be_null, "A rule.")
{
    void *p = arena_alloc("p", 1);

    assert_fails_with_null(echo(p), EINVAL); /* LINE(catches_a_pointer_that_should_be_null) */
}

/* ---- files ------------------------------------------------------------------------ */

TEST(files_hold_what_was_written_to_them, "A rule.")
{
    int in = input_file("abc"), out = output_file();
    char byte;
    char *text;

    assert_int_equal(read(in, &byte, 1), 1);
    assert_int_equal(byte, 'a');
    assert_int_equal(file_size(in), 3);
    text = file_contents(in);
    assert_string_equal(text, "abc");
    free(text);
    file_rewind(in);
    assert_int_equal(read(in, &byte, 1), 1);
    assert_int_equal(byte, 'a');
    assert_int_equal(write(out, "xyz", 3), 3);
    assert_file_holds(out, "xyz");
    file_clear(out);
    assert_file_holds(out, "");
    close(in);
    close(out);
}

TEST(catches_a_file_with_other_contents, "A rule.")
{
    int out = input_file("one\ntwo");

    assert_file_holds(out, "one"); /* LINE(catches_a_file_with_other_contents) */
}

/* ---- programs ----------------------------------------------------------------------- */

TEST(a_program_runs_with_its_input_to_its_end, "A rule.")
{
    const char *const argv[] = {"/bin/sh", "-c", "cat; echo oops >&2; exit 5", NULL};
    struct puppet *p = puppet_start();
    struct outcome outcome = run_program("hello", argv);

    assert_ptr_equal(puppet_current(), p);
    assert_string_equal(outcome.command, "sh -c 'cat; echo oops >&2; exit 5'");
    assert_outcome(outcome, 5, "hello", "oops\n");
    assert_outcome(RUN_PROGRAM("/bin/echo", "x"), 0, SOMETHING, ANYTHING);
}

TEST(a_shell_command_prints_a_line, "A rule.")
{
    char *text = run_shell("echo \"<$1>\"", "word");

    assert_string_equal(text, "<word>");
    free(text);
}

TEST(catches_a_program_with_another_status, "A rule.")
{
    struct outcome outcome = RUN_PROGRAM("/bin/sh", "-c", "echo why >&2; exit 3");

    assert_outcome(outcome, 0, "", ""); /* LINE(catches_a_program_with_another_status) */
}

TEST(catches_a_program_with_other_output, "A rule.")
{
    struct outcome outcome = RUN_PROGRAM("/bin/echo", "two");

    assert_outcome(outcome, 0, "one\n", ""); /* LINE(catches_a_program_with_other_output) */
}

TEST(catches_a_program_that_prints_nothing, "A rule.")
{
    assert_outcome(RUN_PROGRAM("/bin/true"), 0, SOMETHING, ANYTHING);
}

/* ---- the shortest failing sequence --------------------------------------------------- */

/* Operations are numbers; a sequence fails when the sum of its odd numbers is
 * more than 20, or at a 7 after a 5. */
static size_t goes_wrong(const void *ops, size_t n, void *context)
{
    const int *op = ops;
    size_t *runs = context;
    bool five = false;
    int sum = 0;

    ++*runs;
    for (size_t i = 0; i < n; i++) {
        sum += op[i] % 2 ? op[i] : 0;
        if (sum > 20 || (five && op[i] == 7))
            return i + 1;
        five |= op[i] == 5;
    }
    return 0;
}

static bool make_smaller(void *op, unsigned attempt, void *context)
{
    int *n = op;

    (void)context;
    if (attempt == 0 && *n > 1)
        *n /= 2;
    else if (attempt == 1 && *n > 1)
        *n -= 2;
    else
        return false;
    return true;
}

TEST(a_failing_sequence_is_made_as_short_as_it_can_be, "A rule.")
{
    int ops[400];
    size_t runs = 0;
    struct sequence s = {
        .ops = ops, .n = 400, .op_bytes = sizeof *ops, .run = goes_wrong, .context = &runs};

    for (int i = 0; i < 400; i++)
        ops[i] = 2 * i;
    ops[100] = 5;
    ops[300] = 7;
    assert_true(sequence_shrink(&s));
    assert_int_equal(s.n, 2);
    assert_int_equal(ops[0], 5);
    assert_int_equal(ops[1], 7);
    assert_true(runs < 100);
    assert_false(sequence_shrink(&s));
}

TEST(operations_are_made_simpler, "A rule.")
{
    int ops[] = {2, 1001, 4};
    size_t runs = 0;
    struct sequence s = {.ops = ops,
                         .n = 3,
                         .op_bytes = sizeof *ops,
                         .run = goes_wrong,
                         .simplify = make_smaller,
                         .context = &runs};

    assert_true(sequence_shrink(&s));
    assert_int_equal(s.n, 1);
    assert_int_equal(ops[0], 21); /* the smallest odd number over 20 */
}

/* Fails at a 9 when the numbers before it have the sum 0: +1 and -1 form pairs. */
static size_t is_unbalanced(const void *ops, size_t n, void *context)
{
    const int *op = ops;
    int sum = 0;

    (void)context;
    for (size_t i = 0; i < n; i++)
        if (op[i] == 9)
            return sum == 0 ? i + 1 : 0;
        else
            sum += op[i];
    return 0;
}

TEST(operations_that_belong_together_are_left_out_in_pairs, "A rule.")
{
    int ops[] = {1, 1, -1, 1, -1, -1, 9};
    struct sequence s = {.ops = ops, .n = 7, .op_bytes = sizeof *ops, .run = is_unbalanced};

    assert_true(sequence_shrink(&s));
    assert_int_equal(s.n, 1);
    assert_int_equal(ops[0], 9);
}

TEST(a_sequence_that_does_not_fail_stays, "A rule.")
{
    int ops[] = {2, 4, 6};
    size_t runs = 0;
    struct sequence s = {
        .ops = ops, .n = 3, .op_bytes = sizeof *ops, .run = goes_wrong, .context = &runs};

    assert_false(sequence_shrink(&s));
    assert_int_equal(s.n, 3);
}

TEST(a_search_ends_after_max_runs, "A rule.")
{
    int ops[400] = {0};
    size_t runs = 0;
    struct sequence s = {.ops = ops,
                         .n = 400,
                         .op_bytes = sizeof *ops,
                         .run = goes_wrong,
                         .context = &runs,
                         .max_runs = 10};

    ops[100] = 5;
    ops[300] = 7;
    assert_true(sequence_shrink(&s));
    assert_int_equal(runs, 10);
    assert_int_equal(goes_wrong(ops, s.n, &runs), s.n);
}
