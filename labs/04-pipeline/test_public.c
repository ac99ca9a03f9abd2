/* test_public.c - the public tests, about a third of all points.
 *
 * How to read one: PIPELINE(...) is a pipeline and CMD(...) one command of it;
 * IN and OUT are the descriptors of two files that the test made and passed to
 * the process in which your code runs.
 */
#include "test_support.h"

TEST(one_stage_reads_in_fd_and_writes_out_fd,
     "A single stage reads in_fd as its descriptor 0 and writes out_fd as its descriptor 1.")
{
    int in = input_file("three\nblind\nmice\n");
    int out = output_file();

    puppet_with_files(in, out);
    assert_pipeline_succeeds(PIPELINE(CMD("tr", "a-z", "A-Z")), IN, OUT);
    assert_file_holds(out, "THREE\nBLIND\nMICE\n");
}

TEST(stages_pass_data_on_in_order,
     "Each stage reads from descriptor 0 what the stage before it writes to descriptor 1, up to "
     "end-of-file.")
{
    int in = input_file("a\n");
    int out = output_file();

    puppet_with_files(in, out);
    assert_pipeline_succeeds(PIPELINE(CMD("sed", "s/a/ab/"), CMD("sed", "s/b/bc/")), IN, OUT);
    assert_file_holds(out, "abc\n");

    rewind_files(in, out);
    assert_pipeline_succeeds(
        PIPELINE(CMD("sed", "s/a/ab/"), CMD("sed", "s/b/bc/"), CMD("sed", "s/c/cd/")), IN, OUT);
    assert_file_holds(out, "abcd\n");
}

TEST(the_lecture_example_lists_a_directory,
     "The pipeline ls -1 | cut -d. -f1 | sort | uniq | tee dirents writes the sorted names, "
     "without duplicates, to out_fd and dirents.")
{
    /* dirents exists before, so that ls lists it whenever tee opens it */
    char *directory = run_shell("d=$(mktemp -d) && cd \"$d\" && touch buddy.c buddy.h main.c notes "
                                "dirents && echo \"$d\"",
                                "");
    char dirents[200];
    int in = input_file("");
    int out = output_file();

    snprintf(dirents, sizeof dirents, "%s/dirents", directory);
    puppet_with_files(in, out);

    struct pipeline pipeline = PIPELINE(CMD("ls", "-1", directory), CMD("cut", "-d.", "-f1"),
                                        CMD("sort"), CMD("uniq"), CMD("tee", dirents));
    int result = run_pipeline(pipeline, IN, OUT);
    int error = errno;
    char *written = run_shell("cat \"$1/dirents\"; rm -rf \"$1\" || true", directory);

    errno = error;
    assert_succeeds(result);
    for (size_t i = 0; i < pipeline.nstages; i++)
        assert_stage_exited(pipeline, i, 0);
    assert_file_holds(out, "buddy\ndirents\nmain\nnotes\n");
    assert_string_equal(written, "buddy\ndirents\nmain\nnotes");
    free(written);
    free(directory);
}

TEST(every_stage_reports_its_wait_status,
     "Each status[i] is the wait status of stage i as waitpid stores it, for an exit and for a "
     "death by signal.")
{
    int in = input_file("");
    int out = output_file();

    puppet_with_files(in, out);

    struct pipeline pipeline =
        PIPELINE(CMD("sh", "-c", "exit 3"), CMD("true"), CMD("sh", "-c", "kill -KILL $$"),
                 CMD("sh", "-c", "exit 255"), CMD("sh", "-c", "kill -TERM $$"), CMD("false"));

    assert_succeeds(run_pipeline(pipeline, IN, OUT));
    assert_stage_exited(pipeline, 0, 3);
    assert_stage_exited(pipeline, 1, 0);
    assert_stage_killed(pipeline, 2, SIGKILL);
    assert_stage_exited(pipeline, 3, 255);
    assert_stage_killed(pipeline, 4, SIGTERM);
    assert_stage_exited(pipeline, 5, 1);
}

TEST(a_failed_exec_exits_with_127_or_126,
     "A stage whose exec fails exits with 127 for ENOENT and 126 for any other error, and "
     "pipeline_run returns 0.")
{
    char *script = run_shell("f=$(mktemp) && echo 'echo ran \"$1\"' >\"$f\" && chmod +x \"$f\" && "
                             "echo \"$f\"",
                             "");
    int in = input_file("");
    int out = output_file();

    puppet_with_files(in, out);

    struct pipeline pipeline =
        PIPELINE(CMD("there-is-no-such-command"), CMD("/"), CMD("/dev/null/command"), CMD(""),
                 CMD(script, "without #!"));
    int result = run_pipeline(pipeline, IN, OUT);
    int error = errno;

    free(run_shell("rm -f \"$1\" || true", script));
    errno = error;
    assert_succeeds(result);
    assert_stage_exited(pipeline, 0, 127); /* ENOENT */
    assert_stage_exited(pipeline, 1, 126); /* EACCES */
    assert_stage_exited(pipeline, 2, 126); /* ENOTDIR */
    assert_stage_exited(pipeline, 3, 127); /* ENOENT */
    assert_stage_exited(pipeline, 4, 0);   /* execvp runs it by sh */
    assert_file_holds(out, "ran without #!\n");
    free(script);
}

/* Fails unless the call fails with this errno and writes nothing to status[]. */
#define assert_refused(call, pipeline, error)                                                      \
    do {                                                                                           \
        assert_fails(call, error);                                                                 \
        copy_status(pipeline);                                                                     \
        if (!is_unwritten((pipeline).status[0]) || !is_unwritten((pipeline).status[1]))            \
            fail_msg("a call with invalid arguments wrote to status[]");                           \
    } while (0)

TEST(bad_arguments_are_refused,
     "Invalid arguments are refused with EINVAL, or EBADF for a closed descriptor, before "
     "anything is started or written to status[].")
{
    int in = input_file("");
    int out = output_file();
    struct puppet *p = puppet_with_files(in, out);
    struct pipeline pipeline = PIPELINE(CMD("true"), CMD("true"));
    struct pipeline no_argv0 = PIPELINE(CMD("true"), (const char *const[]){NULL});
    struct pipeline no_argv = PIPELINE(CMD("true"), NULL);

    fault_watch(p, FAULT_FORK);
    fault_watch(p, FAULT_SPAWN);

    assert_refused(pipeline_run(stages_of(pipeline), 0, IN, OUT, pipeline.status_out), pipeline,
                   EINVAL);
    assert_refused(pipeline_run(NULL, 2, IN, OUT, pipeline.status_out), pipeline, EINVAL);
    assert_refused(pipeline_run(stages_of(pipeline), 2, IN, OUT, NULL), pipeline, EINVAL);
    assert_refused(run_pipeline(no_argv0, IN, OUT), no_argv0, EINVAL);
    assert_refused(run_pipeline(no_argv, IN, OUT), no_argv, EINVAL);
    assert_refused(run_pipeline(pipeline, 400, OUT), pipeline, EBADF);
    assert_refused(run_pipeline(pipeline, IN, 400), pipeline, EBADF);
    assert_refused(run_pipeline(pipeline, -1, OUT), pipeline, EBADF);
    assert_refused(run_pipeline(pipeline, IN, -1), pipeline, EBADF);

    if (fault_count(p, FAULT_FORK) + fault_count(p, FAULT_SPAWN) != 0)
        fail_msg("a call with invalid arguments started a process");
    assert_no_children(p);
}

TEST(all_stages_run_concurrently, "All stages are started before the first one is waited for.")
{
    int in = input_file("through\n");
    int out = output_file();
    struct puppet *p = puppet_with_files(in, out);
    struct control control = control_open(p);
    struct probe probes[4];
    struct pipeline pipeline = PIPELINE(
        PROBE("announce", "0", "gate", "2", "pass"), PROBE("announce", "1", "gate", "2", "pass"),
        PROBE("announce", "2", "gate", "2", "pass"), PROBE("announce", "3", "gate", "2", "pass"));

    begin(p, run_pipeline(pipeline, IN, OUT));
    control_await_probes(control, p, probes, 4); /* none ends before all have been started */
    control_open_gates(control);
    assert_succeeds(finish(p));
    assert_file_holds(out, "through\n");
}

/* Runs the program with this many cats. */
static struct outcome run_cats(const char *program, size_t nstages)
{
    const char **argv = calloc(2 * nstages + 1, sizeof argv[0]);

    if (argv == NULL)
        testkit_broken("no memory");
    argv[0] = program;
    for (size_t i = 1; i < 2 * nstages; i++)
        argv[i] = i % 2 == 1 ? "cat" : "|";

    struct outcome outcome = run_program("far\n", argv);

    free(argv);
    snprintf(outcome.command, sizeof outcome.command, "pipeline cat '|' ... '|' cat, %zu commands",
             nstages);
    return outcome;
}

static void assert_program_runs_stages(const char *program)
{
    assert_outcome(RUN_PROGRAM(program, "printf", "%s\\n", "b.c", "a.c", "b.h", "|", "cut", "-d.",
                               "-f1", "|", "sort", "|", "uniq"),
                   0, "a\nb\n", "");
    assert_outcome(
        run_program("read me\n", (const char *const[]){program, "cat", "|", "cat", NULL}), 0,
        "read me\n", "");
    assert_outcome(RUN_PROGRAM(program, "sh", "-c", "exit 3", "|", "sh", "-c", "exit 4"), 4, "",
                   "");
    assert_outcome(RUN_PROGRAM(program, "true", "|", "sh", "-c", "kill -TERM $$"), 128 + SIGTERM,
                   "", "");
    assert_outcome(run_cats(program, 40), 0, "far\n", "");
}

static void assert_program_takes_options(const char *program)
{
    assert_outcome(RUN_PROGRAM(program, "--status", "sh", "-c", "exit 3", "|", "sh", "-c",
                               "kill -KILL $$", "|", "echo", "--status", "a|b", "||"),
                   0, "--status a|b ||\n", "status: 3 137 0\n");
    assert_outcome(RUN_PROGRAM(program, "--status", "--", "false"), 1, "", "status: 1\n");

    /* these look like options, but are commands that do not exist */
    assert_outcome(RUN_PROGRAM(program, "--", "--status"), 127, "", ANYTHING);
    assert_outcome(RUN_PROGRAM(program, "-"), 127, "", ANYTHING);
}

static void assert_program_reports_a_failure(const char *program)
{
    /* at most four descriptors: 0, 1, 2 and one more, too few for a pipe */
    struct outcome failed = RUN_PROGRAM("/bin/sh", "-c", "ulimit -n 4 && exec \"$@\"", "sh",
                                        program, "--status", "true", "|", "true");
    char *printed = file_contents(failed.err);

    if (strncmp(printed, "status:", 7) == 0 || strstr(printed, "\nstatus:") != NULL)
        fail_msg("%s: pipeline_run failed, but the program printed a status line", failed.command);
    free(printed);
    assert_outcome(failed, 125, "", SOMETHING);
}

TEST(the_program_does_what_a_shell_does,
     "The program splits its arguments at |, takes its options, and exits with the status that "
     "pipeline.h specifies for each case.")
{
    const char *program = program_path("pipeline");
    const char *const wrong_usage[][6] = {{program},
                                          {program, "--"},
                                          {program, "--status"},
                                          {program, "--nonsense", "true"},
                                          {program, "-x", "true"},
                                          {program, "|", "echo", "x"},
                                          {program, "echo", "x", "|"},
                                          {program, "true", "|", "|", "true"}};

    assert_program_runs_stages(program);
    assert_program_takes_options(program);
    assert_program_reports_a_failure(program);
    for (size_t i = 0; i < sizeof wrong_usage / sizeof wrong_usage[0]; i++)
        assert_outcome(run_program("", wrong_usage[i]), 2, "", SOMETHING);
}
