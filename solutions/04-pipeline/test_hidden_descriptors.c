/* test_hidden_descriptors.c - hidden tests of the group "descriptors": those of
 * the caller after the call, and those of each stage while it runs.
 */
#include "test_hidden.h"

/* ---- the caller's ----------------------------------------------------------- */

static struct pipeline pipeline_of_cats(size_t nstages)
{
    command cats[100];

    for (size_t i = 0; i < nstages && i < sizeof cats / sizeof cats[0]; i++)
        cats[i] = CMD("cat");
    return pipeline_of(nstages, cats);
}

TEST(no_descriptor_or_zombie_is_left_behind,
     "After the call the caller has the same descriptors, with the same close-on-exec flags, and "
     "no child or zombie, with 1 to 100 stages.")
{
    int in = input_file("x\n");
    int out = output_file();
    struct puppet *p = puppet_with_files(in, out);
    struct fds before = fds_of(puppet_pid(p));
    static const size_t nstages[] = {1, 20, 100};
    struct pipeline failed_exec = PIPELINE(CMD("there-is-no-such-command"), CMD("cat"));

    for (size_t i = 0; i < sizeof nstages / sizeof nstages[0]; i++) {
        rewind_files(in, out);
        assert_pipeline_succeeds(pipeline_of_cats(nstages[i]), IN, OUT);
        assert_file_holds(out, "x\n");
        assert_fds_unchanged(p, before);
        assert_no_children(p);
    }
    assert_succeeds(run_pipeline(failed_exec, IN, OUT));
    assert_fds_unchanged(p, before);
    assert_no_children(p);
}

/* ---- a stage's --------------------------------------------------------------- */

/* Fails, naming a descriptor that a stage should not have. */
static void fail_with_extra_fd(size_t stage, const struct fd_info *extra,
                               const struct probe probes[], size_t nstages)
{
    for (size_t i = 0; i + 1 < nstages; i++) {
        struct fds fds = fds_of(probes[i].pid);

        for (size_t k = 0; k < fds.n; k++)
            if (fds.at[k].fd == STDOUT_FILENO && strcmp(fds.at[k].target, extra->target) == 0)
                fail_msg("stage %zu also has, as descriptor %d, an end of the pipe between "
                         "stages %zu and %zu",
                         stage, extra->fd, i, i + 1);
    }
    fail_msg("stage %zu also has descriptor %d, %s", stage, extra->fd, extra->target);
}

TEST(no_stage_holds_an_end_of_another_pipe,
     "A running stage has no pipe end open except its own descriptors 0 and 1.")
{
    int in = input_file("");
    int out = output_file();
    struct puppet *p = puppet_with_files(in, out);

    puppet_close_fd(p, IN); /* another test checks that stages close in_fd and out_fd */
    puppet_close_fd(p, OUT);
    puppet_give_fd(p, in, STDIN_FILENO);
    puppet_give_fd(p, out, STDOUT_FILENO);

    struct control control = control_open(p);
    struct probe probes[5];
    struct pipeline pipeline =
        PIPELINE(PROBE("announce", "0", "gate", "2"), PROBE("announce", "1", "gate", "2"),
                 PROBE("announce", "2", "gate", "2"), PROBE("announce", "3", "gate", "2"),
                 PROBE("announce", "4", "gate", "2"));

    begin(p, run_pipeline(pipeline, STDIN_FILENO, STDOUT_FILENO));
    control_await_probes(control, p, probes, 5);
    for (size_t i = 0; i < 5; i++) {
        struct fds fds = fds_of(probes[i].pid);

        for (size_t k = 0; k < fds.n; k++)
            if (fds.at[k].fd > 2)
                fail_with_extra_fd(i, &fds.at[k], probes, 5);
        assert_int_equal(fds.n, 3);
    }
    control_open_gates(control);
    assert_succeeds(finish(p));
}

/* ---- inheritance ------------------------------------------------------------- */

/* Inheritable and close-on-exec descriptors of the caller. */
enum { INHERITABLE_LOW = 5, INHERITABLE_HIGH = 300, CLOSE_ON_EXEC = 41 };

static void assert_fds_inherited(size_t stage, pid_t pid)
{
    struct fds fds = fds_of(pid);
    bool has_low = false;

    for (size_t k = 0; k < fds.n; k++)
        if (fds.at[k].fd == INHERITABLE_LOW)
            has_low = true;
        else if (fds.at[k].fd == IN || fds.at[k].fd == OUT)
            fail_msg("stage %zu still has %s as descriptor %d", stage,
                     fds.at[k].fd == IN ? "in_fd" : "out_fd", fds.at[k].fd);
        else if (fds.at[k].fd == CLOSE_ON_EXEC)
            fail_msg("stage %zu has descriptor %d, which was close-on-exec", stage, fds.at[k].fd);
    if (!has_low || fds.at[fds.n - 1].fd != INHERITABLE_HIGH)
        fail_msg("stage %zu lacks descriptor %d, which was inheritable", stage,
                 has_low ? INHERITABLE_HIGH : INHERITABLE_LOW);
    if (fds.n < 3 || fds.at[2].fd != STDERR_FILENO)
        fail_msg("stage %zu has no standard error", stage);
}

/* Makes a command that only the caller's PATH finds and that prints a variable
 * of the caller's environment, the umask and the current directory. */
static void assert_environment_inherited(int in, int out)
{
    char *directory =
        run_shell("d=$(mktemp -d) && printf '#!/bin/sh\\necho \"$LAB_WORD $(umask) $(pwd -P)\"\\n' "
                  ">\"$d/only-here\" && chmod +x \"$d/only-here\" && cd \"$d\" && pwd -P",
                  "");
    char path[300], expected[300];

    snprintf(path, sizeof path, "%s:/usr/bin:/bin", directory);
    IN_PUPPET(setenv, arena_string("PATH"), arena_string(path), 1);
    IN_PUPPET(setenv, arena_string("LAB_WORD"), arena_string("inherited"), 1);
    IN_PUPPET(umask, 027);
    if (IN_PUPPET(chdir, arena_string(directory)) != 0)
        fail_msg("chdir(\"%s\") failed in the process that calls pipeline_run()", directory);
    snprintf(expected, sizeof expected, "inherited 0027 %s\n", directory);

    struct pipeline pipeline = PIPELINE(CMD("only-here"), CMD("cat"));

    rewind_files(in, out);

    int result = run_pipeline(pipeline, IN, OUT);
    int error = errno;

    free(run_shell("rm -rf \"$1\" || true", directory));
    errno = error;
    assert_succeeds(result);
    if (pipeline.status[0] == W_EXITCODE(127, 0))
        fail_msg("a command in a directory of the caller's PATH was not found");
    assert_stage_exited(pipeline, 0, 0);
    assert_file_holds(out, expected);
    free(directory);
}

TEST(stages_inherit_descriptors_and_environment,
     "Stages inherit the caller's inheritable descriptors except in_fd and out_fd, its "
     "environment, current directory, umask and process group.")
{
    int in = input_file("x\n");
    int out = output_file();
    struct puppet *p = puppet_with_files(in, out);
    struct control control = control_open(p);
    struct probe probes[3];
    struct pipeline pipeline = PIPELINE(PROBE("announce", "0", "gate", "2", "pass"),
                                        PROBE("announce", "1", "gate", "2", "pass"),
                                        PROBE("announce", "2", "gate", "2", "pass"));

    puppet_give_fd(p, in, INHERITABLE_LOW);
    puppet_give_fd(p, in, INHERITABLE_HIGH);
    puppet_give_fd(p, in, CLOSE_ON_EXEC);
    IN_PUPPET(fcntl, CLOSE_ON_EXEC, F_SETFD, FD_CLOEXEC);

    struct fds before = fds_of(puppet_pid(p));

    begin(p, run_pipeline(pipeline, IN, OUT));
    control_await_probes(control, p, probes, 3);

    struct fds first = fds_of(probes[0].pid);
    struct fds last = fds_of(probes[2].pid);

    for (size_t i = 0; i < 3; i++) {
        assert_fds_inherited(i, probes[i].pid);
        if (getpgid(probes[i].pid) != getpgid(puppet_pid(p)))
            fail_msg("stage %zu is not in the caller's process group", i);
    }
    assert_string_equal(first.at[0].target, first.at[first.n - 1].target);
    assert_non_null(strstr(last.at[1].target, "memfd:out"));
    control_open_gates(control);
    assert_succeeds(finish(p));
    assert_file_holds(out, "x\n");
    assert_fds_unchanged(p, before);
    assert_environment_inherited(in, out);
}

/* ---- unusual numbers ----------------------------------------------------------- */

/* Whether one of three stages has a descriptor 2, as `probe report` prints. */
static bool stage_has_stderr(size_t stage, int in, int out)
{
    struct pipeline pipeline = PIPELINE(CMD("true"), CMD("true"), CMD("true"));

    pipeline.commands[stage] = PROBE("report");
    for (size_t i = stage + 1; i < 3; i++)
        pipeline.commands[i] = CMD("cat");
    rewind_files(in, out);
    assert_pipeline_succeeds(pipeline, IN, OUT);

    char *report = file_contents(out);
    bool has = strstr(report, "\n2 -> ") != NULL;

    free(report);
    return has;
}

TEST(closed_standard_descriptors_do_no_harm,
     "When the caller's 0, 1 or 2 is closed, data still arrives unchanged, without error messages "
     "in it, and a closed 2 stays closed.")
{
    int in = input_file("through\n");
    int out = output_file();

    for (unsigned closed = 1; closed < 8; closed++) {
        struct puppet *p = puppet_with_files(in, out);
        struct pipeline failed_exec = PIPELINE(CMD("there-is-no-such-command"), CMD("cat"));

        for (int fd = 0; fd <= 2; fd++)
            if (closed >> fd & 1)
                puppet_close_fd(p, fd);

        struct fds before = fds_of(puppet_pid(p));

        rewind_files(in, out);
        assert_pipeline_succeeds(PIPELINE(CMD("cat"), CMD("cat"), CMD("cat")), IN, OUT);
        assert_file_holds(out, "through\n");

        for (size_t i = 0; i < 3; i++) {
            bool has = stage_has_stderr(i, in, out);

            if (has && closed & 4)
                fail_msg("the caller's descriptor 2 is closed, but that of stage %zu is open", i);
            if (!has && !(closed & 4))
                fail_msg("stage %zu has no standard error", i);
        }

        /* the error message of a failed exec is not data */
        rewind_files(in, out);
        assert_succeeds(run_pipeline(failed_exec, IN, OUT));
        assert_file_holds(out, "");
        assert_fds_unchanged(p, before);
        puppet_end(p);
    }
}

/* Runs a pipeline whose in_fd and out_fd are the same socket: it reads "a" from
 * there and must write `expected`. */
static void run_with_one_socket(struct puppet *p, struct pipeline pipeline, int number,
                                bool cloexec, const char *expected)
{
    int ends[2];
    char answer[32] = "";

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == -1)
        testkit_broken("socketpair: %s", strerror(errno));
    puppet_give_fd(p, ends[1], number);
    IN_PUPPET(fcntl, number, F_SETFD, cloexec ? FD_CLOEXEC : 0);
    if (write(ends[0], "a\n", 2) != 2 || shutdown(ends[0], SHUT_WR) == -1)
        testkit_broken("socket: %s", strerror(errno));

    struct fds before = fds_of(puppet_pid(p));

    assert_pipeline_succeeds(pipeline, number, number);
    if (recv(ends[0], answer, sizeof answer - 1, MSG_DONTWAIT) == -1 && errno != EAGAIN)
        fail_msg("the socket that is in_fd and out_fd was not read up to end-of-file: %s",
                 error_name(errno));
    if (strcmp(answer, expected) != 0) {
        fail_msg("in_fd and out_fd are both %d, the same socket; \"%s\" was written to it; "
                 "expected: \"%s\"",
                 number, quoted(answer), quoted(expected));
    }
    assert_fds_unchanged(p, before);
    close(ends[0]);
    close(ends[1]);
}

/* sed appends a letter in each stage: "a" becomes "ab", then "abc". */
#define ONE_STAGE PIPELINE(CMD("sed", "s/a/ab/"))
#define TWO_STAGES PIPELINE(CMD("sed", "s/a/ab/"), CMD("sed", "s/b/bc/"))
#define WRITES_TO_STDERR PIPELINE(CMD("sed", "s/a/ab/"), CMD("sh", "-c", "cat; echo well >&2"))

/* Input at 1 and output at 0; then output at 2, which is standard error, too. */
static void run_with_crossed_fds(struct puppet *p, int in, int out)
{
    puppet_give_fd(p, in, STDOUT_FILENO);
    puppet_give_fd(p, out, STDIN_FILENO);

    struct fds crossed = fds_of(puppet_pid(p));

    assert_pipeline_succeeds(ONE_STAGE, 1, 0);
    assert_file_holds(out, "ab\n");
    rewind_files(in, out);
    assert_pipeline_succeeds(TWO_STAGES, 1, 0);
    assert_file_holds(out, "abc\n");
    assert_fds_unchanged(p, crossed);

    rewind_files(in, out);
    puppet_give_fd(p, out, STDERR_FILENO);
    assert_pipeline_succeeds(WRITES_TO_STDERR, 1, 2);
    assert_file_holds(out, "ab\nwell\n");
}

/* Input at 0 and output at 1, both close-on-exec, which dup2(fd, fd) leaves
 * set. */
static void run_with_close_on_exec_in_place(struct puppet *p, int in, int out)
{
    rewind_files(in, out);
    puppet_give_fd(p, in, STDIN_FILENO);
    puppet_give_fd(p, out, STDOUT_FILENO);
    IN_PUPPET(fcntl, STDIN_FILENO, F_SETFD, FD_CLOEXEC);
    IN_PUPPET(fcntl, STDOUT_FILENO, F_SETFD, FD_CLOEXEC);

    struct fds marked = fds_of(puppet_pid(p));

    assert_pipeline_succeeds(TWO_STAGES, 0, 1);
    assert_file_holds(out, "abc\n");
    assert_fds_unchanged(p, marked);
    marked = fds_of(puppet_pid(p));
    assert_true(marked.at[0].cloexec);
    assert_true(marked.at[1].cloexec);
}

TEST(in_fd_and_out_fd_may_be_any_descriptors,
     "The descriptors in_fd and out_fd may be crossed (1 and 0), equal, 2, or close-on-exec, "
     "a flag that dup2(fd, fd) does not clear.")
{
    static const int numbers[] = {20, 2, 1, 0};
    int in = input_file("a\n");
    int out = output_file();
    struct puppet *p = puppet_start();

    run_with_crossed_fds(p, in, out);
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        run_with_one_socket(p, ONE_STAGE, numbers[i], false, "ab\n");
        run_with_one_socket(p, TWO_STAGES, numbers[i], true, "abc\n");
    }
    run_with_one_socket(p, WRITES_TO_STDERR, 2, false, "ab\nwell\n");
    run_with_close_on_exec_in_place(p, in, out);
}
