/* test_public.c - the first third of the tests, and the lecture's example.
 *
 * How to read one: LINE(...) is a pipeline, CMD(...) one command of it; IN and
 * OUT are files that the test made and handed over.
 */
#define _GNU_SOURCE
#include "test_support.h"

TEST(one_stage_reads_in_fd_and_writes_out_fd)
{
    int in = file_with_text("three\nblind\nmice\n");
    int out = empty_file();

    puppet_between(in, out);
    assert_line_succeeds(LINE(CMD("tr", "a-z", "A-Z")), IN, OUT);
    assert_file_holds(out, "THREE\nBLIND\nMICE\n");
}

TEST(stages_pass_data_on_in_order)
{
    int in = file_with_text("a\n");
    int out = empty_file();

    puppet_between(in, out);
    assert_line_succeeds(LINE(CMD("sed", "s/a/ab/"), CMD("sed", "s/b/bc/")), IN, OUT);
    assert_file_holds(out, "abc\n");

    rewind_files(in, out);
    assert_line_succeeds(
        LINE(CMD("sed", "s/a/ab/"), CMD("sed", "s/b/bc/"), CMD("sed", "s/c/cd/")), IN, OUT);
    assert_file_holds(out, "abcd\n");
}

TEST(the_lecture_s_pipeline_lists_a_folder)
{
    /* dirents exists before, so that ls sees it whenever tee opens it */
    char *folder = shell("d=$(mktemp -d) && cd \"$d\" && touch buddy.c buddy.h main.c notes "
                         "dirents && echo \"$d\"",
                         "");
    char dirents[200];
    int in = empty_file();
    int out = empty_file();

    snprintf(dirents, sizeof dirents, "%s/dirents", folder);
    puppet_between(in, out);

    struct line line = LINE(CMD("ls", "-1", folder), CMD("cut", "-d.", "-f1"), CMD("sort"),
                            CMD("uniq"), CMD("tee", dirents));
    int result = run_line(line, IN, OUT);
    char *written = shell("cat \"$1/dirents\" && rm -r \"$1\"", folder);

    assert_int_equal(result, 0);
    for (size_t i = 0; i < line.nstages; i++)
        assert_stage_exited(line, i, 0);
    assert_file_holds(out, "buddy\ndirents\nmain\nnotes\n");
    assert_string_equal(written, "buddy\ndirents\nmain\nnotes");
    free(written);
    free(folder);
}

TEST(every_status_stands_in_its_place)
{
    int in = empty_file();
    int out = empty_file();

    puppet_between(in, out);

    struct line line =
        LINE(CMD("sh", "-c", "exit 3"), CMD("true"), CMD("sh", "-c", "kill -KILL $$"),
             CMD("sh", "-c", "exit 255"), CMD("sh", "-c", "kill -TERM $$"), CMD("false"));

    assert_int_equal(run_line(line, IN, OUT), 0);
    assert_stage_exited(line, 0, 3);
    assert_stage_exited(line, 1, 0);
    assert_stage_killed(line, 2, SIGKILL);
    assert_stage_exited(line, 3, 255);
    assert_stage_killed(line, 4, SIGTERM);
    assert_stage_exited(line, 5, 1);
}

TEST(a_command_that_cannot_run_exits_127_or_126)
{
    char *script = shell("f=$(mktemp) && echo 'echo ran \"$1\"' >\"$f\" && chmod +x \"$f\" && "
                         "echo \"$f\"",
                         "");
    int in = empty_file();
    int out = empty_file();

    puppet_between(in, out);

    struct line line = LINE(CMD("there-is-no-such-command"), CMD("/"), CMD("/dev/null/command"),
                            CMD(script, "without #!"));
    int result = run_line(line, IN, OUT);

    free(shell("rm \"$1\"", script));
    assert_int_equal(result, 0);
    assert_stage_exited(line, 0, 127); /* ENOENT */
    assert_stage_exited(line, 1, 126); /* EACCES */
    assert_stage_exited(line, 2, 126); /* ENOTDIR */
    assert_stage_exited(line, 3, 0);   /* execvp asks sh */
    assert_file_holds(out, "ran without #!\n");
    free(script);
}

TEST(bad_arguments_are_refused)
{
    int in = empty_file();
    int out = empty_file();
    struct puppet *p = puppet_between(in, out);
    struct line line = LINE(CMD("true"), CMD("true"));
    struct line nameless = LINE(CMD("true"), arena_alloc("an argv without a name", 16));
    struct line none = LINE(CMD("true"), NULL);

    line.status[0] = line.status[1] = 4711;

    assert_int_equal(pipeline_run(line.stages, 0, IN, OUT, line.status), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(pipeline_run(NULL, 2, IN, OUT, line.status), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(pipeline_run(line.stages, 2, IN, OUT, NULL), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(run_line(nameless, IN, OUT), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(run_line(none, IN, OUT), -1);
    assert_int_equal(errno, EINVAL);
    assert_int_equal(run_line(line, 400, OUT), -1);
    assert_int_equal(errno, EBADF);
    assert_int_equal(run_line(line, IN, -1), -1);
    assert_int_equal(errno, EBADF);

    assert_int_equal(line.status[0], 4711);
    assert_int_equal(line.status[1], 4711);
    assert_no_children(p);
}

TEST(all_stages_run_at_the_same_time)
{
    int in = file_with_text("through\n");
    int out = empty_file();
    struct puppet *p = puppet_between(in, out);
    struct control control = control_open(p);
    struct told told[4];
    struct line line = LINE(PROBE("announce", "0", "gate", "2", "pass"),
                            PROBE("announce", "1", "gate", "2", "pass"),
                            PROBE("announce", "2", "gate", "2", "pass"),
                            PROBE("announce", "3", "gate", "2", "pass"));

    begin(p, run_line(line, IN, OUT));
    control_await(control, p, told, 4); /* nobody gets on before all are there */
    control_let_pass(control);
    assert_int_equal(finish(p), 0);
    assert_file_holds(out, "through\n");
}

TEST(the_program_does_what_a_shell_does)
{
    const char *pipeline = program_path("pipeline");
    struct outcome end;

    end = PROGRAM(pipeline, "printf", "%s\n", "b.c", "a.c", "b.h", "|", "cut", "-d.", "-f1", "|",
                  "sort", "|", "uniq");
    assert_file_holds(end.out, "a\nb\n");
    assert_file_holds(end.err, "");
    assert_int_equal(end.word, W_EXITCODE(0, 0));

    end = run_program("read me\n", (const char *const[]){pipeline, "cat", "|", "cat", NULL});
    assert_file_holds(end.out, "read me\n");

    end = PROGRAM(pipeline, "sh", "-c", "exit 3", "|", "sh", "-c", "exit 4");
    assert_int_equal(end.word, W_EXITCODE(4, 0));

    end = PROGRAM(pipeline, "true", "|", "sh", "-c", "kill -TERM $$");
    assert_int_equal(end.word, W_EXITCODE(128 + SIGTERM, 0));

    end = PROGRAM(pipeline, "--status", "sh", "-c", "exit 3", "|", "sh", "-c", "kill -KILL $$",
                  "|", "echo", "--status", "a|b");
    assert_file_holds(end.out, "--status a|b\n");
    assert_file_holds(end.err, "status: 3 137 0\n");
    assert_int_equal(end.word, W_EXITCODE(0, 0));

    const char *const wrong[][6] = {{pipeline},
                                    {pipeline, "--status"},
                                    {pipeline, "--nonsense", "true"},
                                    {pipeline, "|", "true"},
                                    {pipeline, "true", "|"},
                                    {pipeline, "true", "|", "|", "true"}};

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        end = run_program("", wrong[i]);
        assert_int_equal(end.word, W_EXITCODE(2, 0));
        assert_true(file_size(end.err) > 0);
    }
}
