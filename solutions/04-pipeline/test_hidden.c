/* test_hidden.c - the graded tests that students do not see.
 *
 * Failures are swept: the n-th fork (pipe, dup2) fails, for n = 1, 2, ... until
 * none does, and each time the call must succeed or undo everything.
 */
#define _GNU_SOURCE
#include "stub.h"
#include "test_support.h"

/* Calls a function of the C library in the puppet, by name, as the program
 * around the student's code might have called it. */
#define IN_PUPPET(function, ...) STUB_CALL(function, __VA_ARGS__)

/* A signal set in the arena. */
static sigset_t *arena_set(int first, int second)
{
    sigset_t *set = arena_alloc("signal set", sizeof *set);

    sigemptyset(set);
    sigaddset(set, first);
    sigaddset(set, second);
    return set;
}

static unsigned long long bit(int signal_number)
{
    return 1ULL << (signal_number - 1);
}

/* ---- data ---------------------------------------------------------------- */

TEST(sixteen_megabytes_arrive_unchanged)
{
    enum { SIZE_BYTES = 16 * 1024 * 1024 };
    uint64_t state = testkit_seed();
    uint64_t *data = malloc(SIZE_BYTES);

    if (data == NULL)
        testkit_broken("no memory");
    for (size_t i = 0; i < SIZE_BYTES / sizeof data[0]; i++)
        data[i] = random_next(&state);

    int in = file_named("in", (char *)data, SIZE_BYTES);
    int out = output_file();

    puppet_between(in, out);
    assert_line_succeeds(LINE(CMD("cat"), PROBE("pass"), CMD("cat")), IN, OUT);
    assert_int_equal(file_size(out), SIZE_BYTES);

    char *arrived = contents(out);

    if (memcmp(arrived, data, SIZE_BYTES) != 0)
        fail_msg("16 MB arrived, but not the bytes that were sent");
    free(arrived);
    free(data);
}

/* ---- signals ------------------------------------------------------------ */

TEST(stages_start_with_clean_signals)
{
    int in = input_file("");
    int out = output_file();
    struct puppet *p = puppet_between(in, out);
    struct control control = control_open(p);
    sigset_t *mask = arena_out("mask", sizeof *mask);
    struct told told;

    IN_PUPPET(signal, SIGPIPE, SIG_IGN);
    IN_PUPPET(signal, SIGUSR2, SIG_IGN);
    IN_PUPPET(sigprocmask, SIG_BLOCK, arena_set(SIGPIPE, SIGTERM), NULL);

    assert_line_succeeds(LINE(PROBE("announce", "0")), IN, OUT);
    WAIT_UNTIL(control_hear(control, &told));
    if (told.said.blocked != 0)
        fail_msg("the stage started with blocked signals: set 0x%llx", told.said.blocked);
    if (told.said.ignored & bit(SIGPIPE))
        fail_msg("the stage started with SIGPIPE ignored");
    if (!(told.said.ignored & bit(SIGUSR2)))
        fail_msg("the caller ignores SIGUSR2, and the stage did not");

    struct line line = LINE(CMD("yes"), CMD("head", "-n", "1"));

    assert_succeeds(run_line(line, IN, OUT));
    assert_file_holds(out, "y\n");
    assert_stage_killed(line, 0, SIGPIPE);
    assert_stage_exited(line, 1, 0);

    /* and the caller has what it had */
    IN_PUPPET(sigprocmask, SIG_BLOCK, NULL, mask);
    for (int n = 1; n < 32; n++)
        assert_int_equal(sigismember(mask, n), n == SIGPIPE || n == SIGTERM);
    assert_ptr_equal(IN_PUPPET(signal, SIGPIPE, SIG_DFL), SIG_IGN);
}

TEST(an_interrupted_wait_goes_on)
{
    int in = input_file("still here\n");
    int out = output_file();
    struct puppet *p = puppet_between(in, out);
    struct line line = LINE(PROBE("pass", "exit", "1"), PROBE("pass", "exit", "2"));

    for (unsigned n = 1; n <= 20; n++) {
        rewind_files(in, out);
        fault_clear(p);
        fault_fail(p, FAULT_WAIT, n, EINTR);
        assert_succeeds(run_line(line, IN, OUT));
        assert_stage_exited(line, 0, 1);
        assert_stage_exited(line, 1, 2);
        assert_file_holds(out, "still here\n");
        assert_no_children(p);
        if (!fault_fired(p))
            break;
    }
}

TEST(waiting_is_asleep)
{
    int in = input_file("");
    int out = output_file();
    struct puppet *p = puppet_between(in, out);
    struct control control = control_open(p);
    struct told told[2];
    struct line line = LINE(PROBE("announce", "0", "gate", "2", "exit", "3"),
                            PROBE("announce", "1", "gate", "2"));

    begin(p, run_line(line, IN, OUT));
    control_await(control, p, told, 2);
    assert_blocked(p);
    control_let_one_pass(control);
    assert_blocked(p);
    control_let_pass(control);
    assert_succeeds(finish(p));
    assert_stage_exited(line, 0, 3);
    assert_stage_exited(line, 1, 0);
}

/* ---- descriptors -------------------------------------------------------- */

TEST(nothing_stays_with_the_caller)
{
    int in = input_file("x\n");
    int out = output_file();
    struct puppet *p = puppet_between(in, out);
    struct fds before = fds_of(puppet_pid(p));
    struct line line =
        LINE(CMD("cat"), CMD("cat"), CMD("cat"), CMD("cat"), CMD("cat"), CMD("cat"), CMD("cat"),
             CMD("cat"), CMD("cat"), CMD("cat"), CMD("cat"), CMD("cat"), CMD("cat"), CMD("cat"),
             CMD("cat"), CMD("cat"), CMD("cat"), CMD("cat"), CMD("cat"), CMD("cat"));
    struct line missing = LINE(CMD("there-is-no-such-command"), CMD("cat"));

    for (int i = 0; i < 3; i++) {
        rewind_files(in, out);
        assert_line_succeeds(line, IN, OUT);
        assert_file_holds(out, "x\n");
        assert_fds_as_before(p, before);
        assert_no_children(p);
    }
    assert_succeeds(run_line(missing, IN, OUT));
    assert_fds_as_before(p, before);
    assert_no_children(p);
}

/* Names a descriptor that a stage should not have. */
static void fail_for_stranger(size_t stage, const struct fd_info *stranger,
                              const struct told told[], size_t nstages)
{
    for (size_t i = 0; i + 1 < nstages; i++) {
        struct fds fds = fds_of(told[i].pid);

        for (size_t k = 0; k < fds.n; k++)
            if (fds.at[k].fd == STDOUT_FILENO && strcmp(fds.at[k].target, stranger->target) == 0)
                fail_msg("stage %zu also has, as descriptor %d, an end of the pipe between "
                         "stages %zu and %zu",
                         stage, stranger->fd, i, i + 1);
    }
    fail_msg("stage %zu also has descriptor %d, %s", stage, stranger->fd, stranger->target);
}

TEST(no_stage_holds_an_end_of_another_pipe)
{
    int in = input_file("");
    int out = output_file();
    struct puppet *p = puppet_between(in, out);

    puppet_close_fd(p, IN); /* that in_fd and out_fd go is another test */
    puppet_close_fd(p, OUT);
    puppet_give_fd(p, in, STDIN_FILENO);
    puppet_give_fd(p, out, STDOUT_FILENO);

    struct control control = control_open(p);
    struct told told[5];
    struct line line =
        LINE(PROBE("announce", "0", "gate", "2"), PROBE("announce", "1", "gate", "2"),
             PROBE("announce", "2", "gate", "2"), PROBE("announce", "3", "gate", "2"),
             PROBE("announce", "4", "gate", "2"));

    begin(p, run_line(line, STDIN_FILENO, STDOUT_FILENO));
    control_await(control, p, told, 5);
    for (size_t i = 0; i < 5; i++) {
        struct fds fds = fds_of(told[i].pid);

        for (size_t k = 0; k < fds.n; k++)
            if (fds.at[k].fd > 2)
                fail_for_stranger(i, &fds.at[k], told, 5);
        assert_int_equal(fds.n, 3);
    }
    control_let_pass(control);
    assert_succeeds(finish(p));
}

TEST(stages_inherit_what_the_caller_left_open)
{
    int in = input_file("x\n");
    int out = output_file();
    struct puppet *p = puppet_between(in, out);
    struct control control = control_open(p);
    struct told told[3];
    struct line line = LINE(PROBE("announce", "0", "gate", "2", "pass"),
                            PROBE("announce", "1", "gate", "2", "pass"),
                            PROBE("announce", "2", "gate", "2", "pass"));

    puppet_give_fd(p, in, 40);
    puppet_give_fd(p, in, 41);
    IN_PUPPET(fcntl, 41, F_SETFD, FD_CLOEXEC);

    struct fds before = fds_of(puppet_pid(p));

    begin(p, run_line(line, IN, OUT));
    control_await(control, p, told, 3);

    struct fds first = fds_of(told[0].pid);
    struct fds last = fds_of(told[2].pid);

    for (size_t i = 0; i < 3; i++) {
        struct fds fds = fds_of(told[i].pid);

        for (size_t k = 0; k < fds.n; k++)
            if (fds.at[k].fd == IN || fds.at[k].fd == OUT)
                fail_msg("stage %zu still has %s as descriptor %d", i,
                         fds.at[k].fd == IN ? "in_fd" : "out_fd", fds.at[k].fd);
            else if (fds.at[k].fd == 41)
                fail_msg("stage %zu has descriptor 41, which was close-on-exec", i);
        if (fds.n == 0 || fds.at[fds.n - 1].fd != 40)
            fail_msg("stage %zu has lost descriptor 40, which was inheritable", i);
        if (fds.n < 3 || fds.at[2].fd != STDERR_FILENO)
            fail_msg("stage %zu has no standard error", i);
    }
    assert_string_equal(first.at[0].target, first.at[first.n - 1].target);
    assert_non_null(strstr(last.at[1].target, "memfd:out"));
    control_let_pass(control);
    assert_succeeds(finish(p));
    assert_file_holds(out, "x\n");
    assert_fds_as_before(p, before);
}

/* Whether `probe report`, run as one of three stages, saw a descriptor 2. */
static bool stage_has_stderr(size_t stage, int in, int out)
{
    struct line line = LINE(CMD("true"), CMD("true"), CMD("true"));

    line.stages[stage].argv = PROBE("report");
    for (size_t i = stage + 1; i < 3; i++)
        line.stages[i].argv = CMD("cat");
    rewind_files(in, out);
    assert_line_succeeds(line, IN, OUT);

    char *report = contents(out);
    bool has = strstr(report, "\n2 -> ") != NULL;

    free(report);
    return has;
}

TEST(closed_standard_descriptors_do_no_harm)
{
    int in = input_file("through\n");
    int out = output_file();

    for (unsigned closed = 1; closed < 8; closed++) {
        struct puppet *p = puppet_between(in, out);
        struct line missing = LINE(CMD("there-is-no-such-command"), CMD("cat"));

        for (int fd = 0; fd <= 2; fd++)
            if (closed >> fd & 1)
                puppet_close_fd(p, fd);

        struct fds before = fds_of(puppet_pid(p));

        rewind_files(in, out);
        assert_line_succeeds(LINE(CMD("cat"), CMD("cat"), CMD("cat")), IN, OUT);
        assert_file_holds(out, "through\n");

        for (size_t i = 0; i < 3; i++) {
            bool has = stage_has_stderr(i, in, out);

            if (has && closed & 4)
                fail_msg("the caller's descriptor 2 is closed, stage %zu has something there", i);
            if (!has && !(closed & 4))
                fail_msg("stage %zu has no standard error", i);
        }

        /* a complaint about the command is no data */
        rewind_files(in, out);
        assert_succeeds(run_line(missing, IN, OUT));
        assert_file_holds(out, "");
        assert_fds_as_before(p, before);
        puppet_end(p);
    }
}

TEST(in_fd_and_out_fd_may_be_any_descriptors)
{
    int in = input_file("a\n");
    int out = output_file();
    struct puppet *p = puppet_start();
    struct line one = LINE(CMD("sed", "s/a/ab/"));
    struct line two = LINE(CMD("sed", "s/a/ab/"), CMD("sed", "s/b/bc/"));

    /* crossed: input at 1, output at 0 */
    puppet_give_fd(p, in, STDOUT_FILENO);
    puppet_give_fd(p, out, STDIN_FILENO);

    struct fds crossed = fds_of(puppet_pid(p));

    assert_line_succeeds(one, 1, 0);
    assert_file_holds(out, "ab\n");
    rewind_files(in, out);
    assert_line_succeeds(two, 1, 0);
    assert_file_holds(out, "abc\n");
    assert_fds_as_before(p, crossed);

    /* output at 2 */
    rewind_files(in, out);
    puppet_give_fd(p, out, STDERR_FILENO);
    assert_line_succeeds(two, 1, 2);
    assert_file_holds(out, "abc\n");

    /* twice the same */
    int ends[2];
    char answer[8] = "";

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == -1)
        testkit_broken("socketpair: %s", strerror(errno));
    puppet_give_fd(p, ends[1], 20);
    if (write(ends[0], "a\n", 2) != 2 || shutdown(ends[0], SHUT_WR) == -1)
        testkit_broken("socket: %s", strerror(errno));

    struct fds same = fds_of(puppet_pid(p));

    assert_line_succeeds(two, 20, 20);
    assert_int_equal(recv(ends[0], answer, sizeof answer - 1, MSG_DONTWAIT), 4);
    assert_string_equal(answer, "abc\n");
    assert_fds_as_before(p, same);

    /* in their places already, but close-on-exec, which dup2(0, 0) leaves */
    rewind_files(in, out);
    puppet_give_fd(p, in, STDIN_FILENO);
    puppet_give_fd(p, out, STDOUT_FILENO);
    IN_PUPPET(fcntl, STDIN_FILENO, F_SETFD, FD_CLOEXEC);
    IN_PUPPET(fcntl, STDOUT_FILENO, F_SETFD, FD_CLOEXEC);

    struct fds marked = fds_of(puppet_pid(p));

    assert_line_succeeds(two, 0, 1);
    assert_file_holds(out, "abc\n");
    assert_fds_as_before(p, marked);
    marked = fds_of(puppet_pid(p));
    assert_true(marked.at[0].cloexec);
    assert_true(marked.at[1].cloexec);
}

/* ---- failures ----------------------------------------------------------- */

/* What pipeline_run leaves as it was. */
struct caller {
    struct fds fds;
    unsigned long long blocked; /* bit n - 1 of the sets: signal n */
    unsigned long long ignored;
    unsigned long long caught;
};

static struct caller caller_of(struct puppet *p)
{
    struct caller caller = {.fds = fds_of(puppet_pid(p))};
    char path[64];
    char line[200];
    int found = 0;

    snprintf(path, sizeof path, "/proc/%d/status", puppet_pid(p));

    FILE *file = fopen(path, "re");

    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        found += sscanf(line, "SigBlk: %llx", &caller.blocked) == 1 ||
                 sscanf(line, "SigIgn: %llx", &caller.ignored) == 1 ||
                 sscanf(line, "SigCgt: %llx", &caller.caught) == 1;
    if (file != NULL)
        fclose(file);
    if (found != 3)
        testkit_broken("%s does not tell the signals", path);
    return caller;
}

/* A puppet that blocks a signal, and ignores one. */
static struct puppet *puppet_with_signals(int in, int out)
{
    struct puppet *p = puppet_between(in, out);

    IN_PUPPET(signal, SIGUSR2, SIG_IGN);
    IN_PUPPET(sigprocmask, SIG_BLOCK, arena_set(SIGUSR1, SIGHUP), NULL);
    return p;
}

static void assert_caller_as_before(struct puppet *p, const struct caller *before)
{
    struct caller now = caller_of(p);

    assert_no_children(p);
    assert_fds_as_before(p, before->fds);
    if (now.blocked != before->blocked)
        fail_msg("the caller's signal mask was 0x%llx before the call and is 0x%llx now",
                 before->blocked, now.blocked);
    if (now.ignored != before->ignored || now.caught != before->caught)
        fail_msg("the caller ignored the signals 0x%llx and handled 0x%llx before the call; "
                 "now 0x%llx and 0x%llx",
                 before->ignored, before->caught, now.ignored, now.caught);
}

/* Fails unless a call that gave -1 has undone everything. */
static void assert_undone(struct puppet *p, const struct caller *before, struct line line,
                          struct control control)
{
    size_t never = 0;
    size_t forks = fault_count(p, FAULT_FORK) + fault_count(p, FAULT_SPAWN);
    struct told told;

    assert_caller_as_before(p, before);
    for (size_t i = 0; i < line.nstages; i++) {
        int word = line.status[i];

        if (word == -1)
            never++;
        else if (!WIFEXITED(word) && !WIFSIGNALED(word))
            fail_msg("status[%zu]: the stage %s", i, ending(word));
    }
    if (never == 0)
        fail_msg("pipeline_run failed, but no status is -1: which stages were never started?");
    if (forks > 1 && never == line.nstages)
        fail_msg("every status is -1, although at least one stage was started");
    while (control_hear(control, &told)) {
        size_t i = strtoul(told.said.name, NULL, 10);

        if (i >= line.nstages || line.status[i] == -1)
            fail_msg("stage %zu ran, but its status is -1", i);
    }
}

/* Makes the n-th call fail for every n, as long as one is made; gives how many
 * were. */
static unsigned sweep_failures(enum fault_call call, const char *name, int error)
{
    int in = input_file("swept\n");
    int out = output_file();
    struct puppet *p = puppet_with_signals(in, out);
    struct control control = control_open(p);
    struct caller before = caller_of(p);
    struct line line = LINE(PROBE("announce", "0", "pass"), PROBE("announce", "1", "pass"),
                            PROBE("announce", "2", "pass"), PROBE("announce", "3", "pass"));
    struct told told;
    unsigned n;

    for (n = 1; n <= 100; n++) {
        rewind_files(in, out);
        fault_clear(p);
        fault_fail(p, call, n, error);

        int result = run_line(line, IN, OUT);
        int said = errno;

        if (result == -1) {
            if (!fault_fired(p))
                fail_msg("pipeline_run failed (%s) though no call did", error_name(said));
            if (said != error)
                fail_msg("%s number %u failed with %s, but errno was %s", name, n,
                         error_name(error), error_name(said));
            assert_undone(p, &before, line, control);
            continue;
        }
        assert_succeeds(result);
        for (size_t i = 0; i < line.nstages; i++)
            if (line.status[i] != 0)
                fail_msg("%s number %u failed, pipeline_run returned 0, and stage %zu %s", name, n,
                         i, ending(line.status[i]));
        assert_file_holds(out, "swept\n");
        assert_caller_as_before(p, &before);
        while (control_hear(control, &told))
            continue;
        if (!fault_fired(p))
            break;
    }
    return n - 1;
}

TEST(a_failed_fork_is_undone)
{
    unsigned made = sweep_failures(FAULT_FORK, "fork", EAGAIN) +
                    sweep_failures(FAULT_SPAWN, "posix_spawn", EAGAIN);

    if (made == 0)
        fail_msg("four stages, and no fork() of the C library that could fail");
}

TEST(a_failed_pipe_is_undone)
{
    if (sweep_failures(FAULT_PIPE, "pipe", EMFILE) == 0)
        fail_msg("four stages, and no pipe() of the C library that could fail");
}

/* No stage runs its program with other descriptors than its own. */
static void sweep_dup(enum fault_call call, const char *name, int error)
{
    int in = input_file("swept\n");
    int out = output_file();
    struct puppet *p = puppet_with_signals(in, out);

    puppet_give_fd(p, file_named("elsewhere", "", 0), STDIN_FILENO); /* not for stages */

    struct control control = control_open(p);
    struct caller before = caller_of(p);
    struct line line = LINE(PROBE("announce", "0", "pass"), PROBE("announce", "1", "pass"),
                            PROBE("announce", "2", "pass"));
    struct told told;

    for (unsigned n = 1; n <= 100; n++) {
        rewind_files(in, out);
        fault_clear(p);
        fault_fail(p, call, n, error);

        int result = run_line(line, IN, OUT);
        int said = errno;

        if (result == -1) { /* the parent's */
            if (!fault_fired(p))
                fail_msg("pipeline_run failed (%s) though no call did", error_name(said));
            errno = said;
            assert_fails_with(error, result);
            assert_undone(p, &before, line, control);
            continue;
        }

        bool ran[3] = {false};
        size_t nran = 0;

        while (control_hear(control, &told)) {
            size_t i = strtoul(told.said.name, NULL, 10);

            if (i < 3 && !ran[i]) {
                ran[i] = true;
                nran++;
            }
        }
        assert_succeeds(result);
        assert_caller_as_before(p, &before);
        if (nran == 3) { /* so it was tried again, or there was no failure */
            for (size_t i = 0; i < 3; i++)
                assert_stage_exited(line, i, 0);
            char *text = contents(out);

            if (strcmp(text, "swept\n") != 0)
                fail_msg("%s number %u failed, and the stage's program ran all the same", name, n);
            free(text);
        } else {
            for (size_t i = 0; i < 3; i++)
                if (!ran[i])
                    assert_stage_exited(line, i, 126);
        }
        if (!fault_fired(p))
            return;
    }
}

TEST(a_failed_dup2_starts_no_program)
{
    sweep_dup(FAULT_DUP2, "dup2", EBUSY);
    sweep_dup(FAULT_DUP, "dup", EMFILE);
}

/* Fails unless as many stages as were started, and all that ran, died by the
 * one signal that no stage can ignore. */
static void assert_killed(struct line line, size_t nstarted, struct control control)
{
    size_t killed = 0;
    struct told told;

    for (size_t i = 0; i < line.nstages; i++)
        if (line.status[i] != -1) {
            assert_stage_killed(line, i, SIGKILL);
            killed++;
        }
    if (killed != nstarted)
        fail_msg("fork failed after %zu %s started; statuses that are not -1: %zu", nstarted,
                 nstarted == 1 ? "stage was" : "stages were", killed);
    while (control_hear(control, &told)) {
        size_t i = strtoul(told.said.name, NULL, 10);

        if (i >= line.nstages || line.status[i] == -1)
            fail_msg("stage %zu ran, but its status is -1", i);
    }
}

TEST(a_failure_ends_stages_that_would_run_for_ever)
{
    int in = input_file("");
    int out = output_file();
    struct puppet *p = puppet_between(in, out);
    struct control control = control_open(p);
    struct line line =
        LINE(PROBE("announce", "0", "gate", "2"), PROBE("announce", "1", "gate", "2"),
             PROBE("announce", "2", "gate", "2"));

    for (unsigned n = 2; n <= 3; n++) {
        fault_clear(p);
        fault_fail(p, FAULT_FORK, n, EAGAIN);
        begin(p, run_line(line, IN, OUT));
        if (puppet_settle(p) == PUPPET_BLOCKED && !fault_fired(p)) {
            control_let_pass(control); /* no fork was made to fail: nothing to see here */
            finish(p);
            return;
        }
        assert_fails_with(EAGAIN, finish(p)); /* nobody opens the gate */
        assert_no_children(p);
        assert_killed(line, n - 1, control);
    }
}

/* ---- the caller's own business ------------------------------------------ */

static size_t zombies_of(struct puppet *p)
{
    struct process_info children[16];
    size_t n = process_children(puppet_pid(p), children, 16);
    size_t zombies = 0;

    for (size_t i = 0; i < n && i < 16; i++)
        zombies += children[i].state == 'Z';
    return zombies;
}

struct activity {
    char state; /* R S Z ..., as /proc has it; 'Z' if there is no process */
    unsigned long cpu_ticks;
};

static struct activity activity_of(pid_t pid)
{
    struct activity activity = {'Z', 0};
    char path[64];
    char text[512] = "";
    unsigned long user_ticks = 0, system_ticks = 0;

    snprintf(path, sizeof path, "/proc/%d/stat", pid);

    FILE *file = fopen(path, "re");

    if (file == NULL)
        return activity;
    text[fread(text, 1, sizeof text - 1, file)] = '\0';
    fclose(file);

    char *end_of_name = strrchr(text, ')');

    if (end_of_name != NULL)
        sscanf(end_of_name, ") %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
               &activity.state, &user_ticks, &system_ticks);
    activity.cpu_ticks = user_ticks + system_ticks;
    return activity;
}

/* Whether a process has come to where it waits: it sleeps, or has burnt CPU
 * time enough to have been there, or is over. */
static bool waits(pid_t pid)
{
    enum { ENOUGH_TICKS = 20 };
    struct activity activity = activity_of(pid);

    return activity.state == 'S' || activity.state == 'Z' || activity.cpu_ticks > ENOUGH_TICKS;
}

/* The program is started by a process that has two children already, one of
 * them a zombie, the other one at a gate that does not open. */
TEST(children_of_others_are_left_alone)
{
    int in = input_file("");
    int out = output_file();
    struct puppet *p = puppet_start();
    const char *probe = program_path("probe");
    struct told told;

    puppet_give_fd(p, in, STDIN_FILENO);
    puppet_give_fd(p, out, STDOUT_FILENO);

    struct control control = control_open(p);
    int zombie = gate_close(p, 32);
    int alive = gate_close(p, 33);

    gate_open(zombie);
    puppet_exec(p, (const char *const[]){probe, "foster", "32", "foster", "33", "exec",
                                         program_path("pipeline"), probe, "announce",
                                         "0", "gate", "2", "exit", "5", "|", probe, "announce",
                                         "1", "gate", "2", "exit", "6", NULL});
    for (int heard = 0; heard < 2; heard++) {
        bool over = false;

        WAIT_UNTIL(control_hear(control, &told) ||
                   (over = activity_of(puppet_pid(p)).state == 'Z'));
        if (over)
            fail_msg("pipeline ended before its stages did");
    }
    WAIT_UNTIL(zombies_of(p) != 1 || waits(puppet_pid(p)));
    if (zombies_of(p) != 1)
        fail_msg("a child that is no stage, but the caller's own, was waited for");
    control_let_pass(control);

    int word = puppet_wait(p);

    if (word != W_EXITCODE(6, 0))
        fail_msg("pipeline %s; expected: the last stage's exit status, 6", ending(word));
    gate_open(alive);
}

TEST(buffered_output_comes_out_once)
{
    int in = input_file("");
    int out = output_file();
    int standard_output = output_file();
    struct puppet *p = puppet_between(in, out);

    puppet_give_fd(p, standard_output, STDOUT_FILENO);
    IN_PUPPET(putchar, '!');

    struct line line = LINE(CMD("there-is-no-such-command"), CMD("true"), CMD("/"));

    assert_succeeds(run_line(line, IN, OUT));
    IN_PUPPET(fflush, NULL);
    assert_file_holds(standard_output, "!");

    /* a child's descriptor 1 leads there by now; its complaint may as well */
    char *text = contents(out);

    if (strchr(text, '!') != NULL)
        fail_msg("what lay in the caller's stdio buffer was also written by a child");
    free(text);
}

/* Lets the caller go on when it stands behind its wait. */
static bool has_returned(struct puppet *p)
{
    enum puppet_state state = puppet_settle(p);

    if (state == PUPPET_HELD)
        fault_release(p);
    return state == PUPPET_RETURNED || state == PUPPET_DEAD;
}

/* The stage ends while the caller waits for it, or right after the caller has
 * looked and before it does what it does next. */
static void stage_ends_during_the_first_wait(void)
{
    int in = input_file("");
    int out = output_file();
    struct puppet *p = puppet_between(in, out);
    struct control control = control_open(p);
    struct told stage;
    struct line line = LINE(PROBE("announce", "0", "gate", "2", "exit", "3"));

    fault_hold(p, FAULT_WAIT, 1);
    begin(p, run_line(line, IN, OUT));
    control_await(control, p, &stage, 1);
    puppet_settle(p);
    control_let_pass(control);
    WAIT_UNTIL(activity_of(stage.pid).state == 'Z');
    WAIT_UNTIL(has_returned(p));
    assert_succeeds(finish(p));
    assert_stage_exited(line, 0, 3);
}

TEST(order_of_events_does_not_matter)
{
    for (int round = 0; round < 4; round++)
        stage_ends_during_the_first_wait();

    int in = input_file("steady\n");
    int out = output_file();

    puppets_use_all_cpus();

    struct puppet *p = puppet_between(in, out);
    struct fds before = fds_of(puppet_pid(p));
    struct line line =
        LINE(PROBE("pass", "exit", "1"), PROBE("exit", "2"), PROBE("write", "end", "exit", "3"));
    struct line data = LINE(CMD("cat"), CMD("cat"), CMD("cat"));
    static const enum fault_call delayed[] = {FAULT_FORK,  FAULT_EXEC, FAULT_WAIT,
                                              FAULT_PIPE, FAULT_DUP2, FAULT_CLOSE};

    for (uint64_t round = 0; round < 8; round++) {
        fault_clear(p);
        for (size_t i = 0; i < sizeof delayed / sizeof delayed[0]; i++)
            fault_delay(p, delayed[i], testkit_seed() + 100 * round + i, 3000);
        rewind_files(in, out);
        assert_succeeds(run_line(line, IN, OUT));
        /* the first one writes to somebody who may have left */
        if (line.status[0] != W_EXITCODE(1, 0))
            assert_stage_killed(line, 0, SIGPIPE);
        assert_stage_exited(line, 1, 2);
        assert_stage_exited(line, 2, 3);
        assert_file_holds(out, "end\n");

        rewind_files(in, out);
        assert_line_succeeds(data, IN, OUT);
        assert_file_holds(out, "steady\n");
        assert_no_children(p);
        assert_fds_as_before(p, before);
    }
}
