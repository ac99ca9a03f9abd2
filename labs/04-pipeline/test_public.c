/* test_public.c - the first third of the tests, and the lecture's example.
 *
 * How to read one: LINE(...) is a pipeline, CMD(...) one command of it; IN and
 * OUT are files that the test made and handed over.
 */
#define _GNU_SOURCE
#include "test_support.h"

TEST(one_stage_reads_in_fd_and_writes_out_fd,
     "A stage has in_fd as its descriptor 0 and out_fd as its descriptor 1.")
{
    int in = input_file("three\nblind\nmice\n");
    int out = output_file();

    puppet_between(in, out);
    assert_line_succeeds(LINE(CMD("tr", "a-z", "A-Z")), IN, OUT);
    assert_file_holds(out, "THREE\nBLIND\nMICE\n");
}

TEST(stages_pass_data_on_in_order,
     "What stage i writes to descriptor 1 is what stage i + 1 reads from descriptor 0, and the "
     "end of file arrives as well.")
{
    int in = input_file("a\n");
    int out = output_file();

    puppet_between(in, out);
    assert_line_succeeds(LINE(CMD("sed", "s/a/ab/"), CMD("sed", "s/b/bc/")), IN, OUT);
    assert_file_holds(out, "abc\n");

    rewind_files(in, out);
    assert_line_succeeds(LINE(CMD("sed", "s/a/ab/"), CMD("sed", "s/b/bc/"), CMD("sed", "s/c/cd/")),
                         IN, OUT);
    assert_file_holds(out, "abcd\n");
}

TEST(the_lecture_s_pipeline_lists_a_folder,
     "ls -1 | cut -d. -f1 | sort | uniq | tee dirents writes the names, sorted and once each, to "
     "out_fd and to the file.")
{
    /* dirents exists before, so that ls sees it whenever tee opens it */
    char *folder = shell("d=$(mktemp -d) && cd \"$d\" && touch buddy.c buddy.h main.c notes "
                         "dirents && echo \"$d\"",
                         "");
    char dirents[200];
    int in = input_file("");
    int out = output_file();

    snprintf(dirents, sizeof dirents, "%s/dirents", folder);
    puppet_between(in, out);

    struct line line = LINE(CMD("ls", "-1", folder), CMD("cut", "-d.", "-f1"), CMD("sort"),
                            CMD("uniq"), CMD("tee", dirents));
    int result = run_line(line, IN, OUT);
    int error = errno;
    char *written = shell("cat \"$1/dirents\" && rm -r \"$1\"", folder);

    errno = error;
    assert_succeeds(result);
    for (size_t i = 0; i < line.nstages; i++)
        assert_stage_exited(line, i, 0);
    assert_file_holds(out, "buddy\ndirents\nmain\nnotes\n");
    assert_string_equal(written, "buddy\ndirents\nmain\nnotes");
    free(written);
    free(folder);
}

TEST(every_status_stands_in_its_place,
     "status[i] is the status word of stage i as waitpid gives it, for an exit and for a death "
     "by signal.")
{
    int in = input_file("");
    int out = output_file();

    puppet_between(in, out);

    struct line line =
        LINE(CMD("sh", "-c", "exit 3"), CMD("true"), CMD("sh", "-c", "kill -KILL $$"),
             CMD("sh", "-c", "exit 255"), CMD("sh", "-c", "kill -TERM $$"), CMD("false"));

    assert_succeeds(run_line(line, IN, OUT));
    assert_stage_exited(line, 0, 3);
    assert_stage_exited(line, 1, 0);
    assert_stage_killed(line, 2, SIGKILL);
    assert_stage_exited(line, 3, 255);
    assert_stage_killed(line, 4, SIGTERM);
    assert_stage_exited(line, 5, 1);
}

TEST(a_command_that_cannot_run_exits_127_or_126,
     "When exec fails, that stage exits with 127 for ENOENT and 126 for anything else, the "
     "others run, and pipeline_run returns 0; a script without #! runs as execvp has it.")
{
    char *script = shell("f=$(mktemp) && echo 'echo ran \"$1\"' >\"$f\" && chmod +x \"$f\" && "
                         "echo \"$f\"",
                         "");
    int in = input_file("");
    int out = output_file();

    puppet_between(in, out);

    struct line line = LINE(CMD("there-is-no-such-command"), CMD("/"), CMD("/dev/null/command"),
                            CMD(""), CMD(script, "without #!"));
    int result = run_line(line, IN, OUT);
    int error = errno;

    free(shell("rm \"$1\"", script));
    errno = error;
    assert_succeeds(result);
    assert_stage_exited(line, 0, 127); /* ENOENT */
    assert_stage_exited(line, 1, 126); /* EACCES */
    assert_stage_exited(line, 2, 126); /* ENOTDIR */
    assert_stage_exited(line, 3, 127); /* ENOENT */
    assert_stage_exited(line, 4, 0);   /* execvp asks sh */
    assert_file_holds(out, "ran without #!\n");
    free(script);
}

TEST(bad_arguments_are_refused,
     "Missing stages, status, argv or argv[0] give EINVAL, a descriptor that is not open gives "
     "EBADF, and then nothing is started and status is not written.")
{
    int in = input_file("");
    int out = output_file();
    struct puppet *p = puppet_between(in, out);
    struct line line = LINE(CMD("true"), CMD("true"));
    struct line nameless = LINE(CMD("true"), arena_alloc("an argv without a name", 16));
    struct line none = LINE(CMD("true"), NULL);

    nameless.status = none.status = line.status;
    line.status[0] = line.status[1] = 4711;
    fault_clear(p); /* counts from here */

    assert_fails_with(EINVAL, pipeline_run(line.stages, 0, IN, OUT, line.status));
    assert_fails_with(EINVAL, pipeline_run(NULL, 2, IN, OUT, line.status));
    assert_fails_with(EINVAL, pipeline_run(line.stages, 2, IN, OUT, NULL));
    assert_fails_with(EINVAL, run_line(nameless, IN, OUT));
    assert_fails_with(EINVAL, run_line(none, IN, OUT));
    assert_fails_with(EBADF, run_line(line, 400, OUT));
    assert_fails_with(EBADF, run_line(line, IN, 400));
    assert_fails_with(EBADF, run_line(line, -1, OUT));
    assert_fails_with(EBADF, run_line(line, IN, -1));

    if (line.status[0] != 4711 || line.status[1] != 4711)
        fail_msg("a call that was refused wrote to status[]");
    if (fault_count(p, FAULT_FORK) + fault_count(p, FAULT_SPAWN) != 0)
        fail_msg("a call that was refused started something");
    assert_no_children(p);
}

TEST(all_stages_run_at_the_same_time, "All stages are started before the first one is waited for.")
{
    int in = input_file("through\n");
    int out = output_file();
    struct puppet *p = puppet_between(in, out);
    struct control control = control_open(p);
    struct told told[4];
    struct line line = LINE(
        PROBE("announce", "0", "gate", "2", "pass"), PROBE("announce", "1", "gate", "2", "pass"),
        PROBE("announce", "2", "gate", "2", "pass"), PROBE("announce", "3", "gate", "2", "pass"));

    begin(p, run_line(line, IN, OUT));
    control_await(control, p, told, 4); /* nobody gets on before all are there */
    control_let_pass(control);
    assert_succeeds(finish(p));
    assert_file_holds(out, "through\n");
}

/* A line of so many cats. */
static struct outcome program_with_stages(const char *pipeline, size_t nstages)
{
    const char **argv = calloc(2 * nstages + 1, sizeof argv[0]);

    if (argv == NULL)
        testkit_broken("no memory");
    argv[0] = pipeline;
    for (size_t i = 1; i < 2 * nstages; i++)
        argv[i] = i % 2 == 1 ? "cat" : "|";

    struct outcome outcome = run_program("far\n", argv);

    free(argv);
    snprintf(outcome.command, sizeof outcome.command, "pipeline cat '|' ... '|' cat, %zu commands",
             nstages);
    return outcome;
}

TEST(the_program_does_what_a_shell_does,
     "pipeline splits at words that are exactly |, however many, exits with the last stage's "
     "status (128 + n for signal n), prints all of them with --status unless pipeline_run fails, "
     "ends its options at --, exits with 2 when it is called wrongly and with 125 when "
     "pipeline_run fails.")
{
    const char *pipeline = program_path("pipeline");

    assert_outcome(PROGRAM(pipeline, "printf", "%s\\n", "b.c", "a.c", "b.h", "|", "cut", "-d.",
                           "-f1", "|", "sort", "|", "uniq"),
                   0, "a\nb\n", "");
    assert_outcome(
        run_program("read me\n", (const char *const[]){pipeline, "cat", "|", "cat", NULL}), 0,
        "read me\n", "");
    assert_outcome(PROGRAM(pipeline, "sh", "-c", "exit 3", "|", "sh", "-c", "exit 4"), 4, "", "");
    assert_outcome(PROGRAM(pipeline, "true", "|", "sh", "-c", "kill -TERM $$"), 128 + SIGTERM, "",
                   "");
    assert_outcome(PROGRAM(pipeline, "--status", "sh", "-c", "exit 3", "|", "sh", "-c",
                           "kill -KILL $$", "|", "echo", "--status", "a|b", "||"),
                   0, "--status a|b ||\n", "status: 3 137 0\n");
    assert_outcome(PROGRAM(pipeline, "--status", "--", "false"), 1, "", "status: 1\n");
    assert_outcome(program_with_stages(pipeline, 40), 0, "far\n", "");

    /* words that look like options, and are commands that do not exist */
    assert_outcome(PROGRAM(pipeline, "--", "--status"), 127, "", ANYTHING);
    assert_outcome(PROGRAM(pipeline, "-"), 127, "", ANYTHING);

    /* with one descriptor to spare there is no pipe */
    struct outcome failed = PROGRAM("/bin/sh", "-c", "ulimit -n 4 && exec \"$@\"", "sh", pipeline,
                                    "--status", "true", "|", "true");
    char *said = contents(failed.err);

    if (strncmp(said, "status:", 7) == 0 || strstr(said, "\nstatus:") != NULL)
        fail_msg("%s: pipeline_run failed, and there is a line with statuses", failed.command);
    free(said);
    assert_outcome(failed, 125, "", SOMETHING);

    const char *const wrong[][6] = {{pipeline},
                                    {pipeline, "--"},
                                    {pipeline, "--status"},
                                    {pipeline, "--nonsense", "true"},
                                    {pipeline, "-x", "true"},
                                    {pipeline, "|", "echo", "x"},
                                    {pipeline, "echo", "x", "|"},
                                    {pipeline, "true", "|", "|", "true"}};

    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_outcome(run_program("", wrong[i]), 2, "", SOMETHING);
}
