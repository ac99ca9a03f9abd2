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

/* Sends a signal to a process of the box, by its pid as the test sees it, if
 * it is still there. */
static void send_signal(pid_t pid, int number)
{
    if (kill(pid, number) == -1 && errno != ESRCH)
        testkit_broken("kill: %s", strerror(errno));
}

/* Gives a signal of the puppet a handler, a function of the C library that does
 * no harm; without SA_RESTART, so that it interrupts what sleeps. */
static void let_handle(int number)
{
    struct sigaction *action = arena_alloc("action", sizeof *action);
    uint64_t function = IN_PUPPET(dlsym, NULL, arena_string("abs"));

    memcpy(&action->sa_handler, &function, sizeof action->sa_handler);
    if (action->sa_handler == SIG_DFL || IN_PUPPET(sigaction, number, action, NULL) != 0)
        testkit_broken("the puppet cannot handle a signal");
}

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
        fail_msg("the caller's process has ended");
    caller.caught &= ~(bit(32) | bit(33)); /* the C library's own, once there was a thread */
    return caller;
}

static void assert_signals_as_before(struct puppet *p, const struct caller *before)
{
    struct caller now = caller_of(p);

    if (now.blocked != before->blocked)
        fail_msg("the caller's signal mask was 0x%llx before the call and is 0x%llx now",
                 before->blocked, now.blocked);
    if (now.ignored != before->ignored || now.caught != before->caught)
        fail_msg("the caller ignored the signals 0x%llx and handled 0x%llx before the call; "
                 "now 0x%llx and 0x%llx",
                 before->ignored, before->caught, now.ignored, now.caught);
}

static void assert_caller_as_before(struct puppet *p, const struct caller *before)
{
    assert_no_children(p);
    assert_fds_as_before(p, before->fds);
    assert_signals_as_before(p, before);
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
        sscanf(end_of_name, ") %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu", &activity.state,
               &user_ticks, &system_ticks);
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

/* Lets the caller go on when it stands behind its wait. */
static bool has_returned(struct puppet *p)
{
    enum puppet_state state = puppet_settle(p);

    if (state == PUPPET_HELD)
        fault_release(p);
    return state == PUPPET_RETURNED || state == PUPPET_DEAD;
}

/* ---- data ---------------------------------------------------------------- */

TEST(sixteen_megabytes_arrive_unchanged,
     "Any amount of data goes through all stages, byte for byte.")
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

TEST(stages_start_with_clean_signals,
     "A stage starts with SIGPIPE at its default and no signal blocked, whatever the caller "
     "ignores and blocks, what else the caller ignores (SIGINT, say) stays ignored, and the "
     "caller keeps its own mask and dispositions, also if it blocks or handles SIGCHLD: yes | "
     "head ends with signal 13.")
{
    static const int ignored[] = {SIGPIPE, SIGINT, SIGQUIT, SIGUSR2};
    int in = input_file("");
    int out = output_file();
    struct puppet *p = puppet_between(in, out);
    struct control control = control_open(p);
    sigset_t *all = arena_alloc("signal set", sizeof *all);
    struct told told[3];

    for (size_t i = 0; i < sizeof ignored / sizeof ignored[0]; i++)
        IN_PUPPET(signal, ignored[i], SIG_IGN);
    let_handle(SIGCHLD); /* blocked as well, so nothing is interrupted */
    sigfillset(all);
    sigdelset(all, SIGSEGV); /* the kit's */
    sigdelset(all, SIGBUS);
    IN_PUPPET(sigprocmask, SIG_BLOCK, all, NULL);

    struct caller before = caller_of(p);

    begin(p, run_line(LINE(PROBE("announce", "0", "gate", "2"), PROBE("announce", "1", "gate", "2"),
                           PROBE("announce", "2", "gate", "2")),
                      IN, OUT));
    control_await(control, p, told, 3);
    for (size_t i = 0; i < 3; i++) {
        if (told[i].said.blocked != 0)
            fail_msg("stage %zu started with blocked signals: set 0x%llx", i, told[i].said.blocked);
        if (told[i].said.ignored & bit(SIGPIPE))
            fail_msg("stage %zu started with SIGPIPE ignored", i);
        for (size_t k = 1; k < sizeof ignored / sizeof ignored[0]; k++)
            if (!(told[i].said.ignored & bit(ignored[k])))
                fail_msg("the caller ignores SIG%s, and stage %zu did not",
                         sigabbrev_np(ignored[k]), i);
    }
    control_let_pass(control);
    assert_succeeds(finish(p));

    struct line line = LINE(CMD("yes"), CMD("head", "-n", "1"));

    assert_succeeds(run_line(line, IN, OUT));
    assert_file_holds(out, "y\n");
    assert_stage_killed(line, 0, SIGPIPE);
    assert_stage_exited(line, 1, 0);
    assert_signals_as_before(p, &before);
}

/* Interrupts a call that waits, by a signal that the caller handles. */
static void interrupt(struct puppet *p)
{
    if (!has_returned(p))
        send_signal(puppet_pid(p), SIGUSR1);
    if (has_returned(p)) {
        int result = finish(p); /* says how it died, if it did */

        fail_msg("a signal that the caller handles came while stages ran, and pipeline_run "
                 "returned %d (%s)",
                 result, error_name(errno));
    }
}

/* Whether a call that failed has waited for all that it had started. */
static bool is_undone(struct puppet *p, struct line line)
{
    struct process_info child;
    size_t never = 0;

    for (size_t i = 0; i < line.nstages; i++)
        if (!WIFEXITED(line.status[i]) && !WIFSIGNALED(line.status[i]))
            never++;
    return never + fault_count(p, FAULT_FORK) - 1 == line.nstages &&
           process_children(puppet_pid(p), &child, 1) == 0;
}

/* Real signals come while it waits for a stage.  In an undoing nobody sleeps
 * long enough for that: there wait fails, if it is what this caller slept in. */
TEST(an_interrupted_wait_goes_on,
     "A wait that a signal interrupts (EINTR) is taken up again, also in the undoing of a "
     "failure; every status is still right and no child stays behind.")
{
    int in = input_file("still here\n");
    int out = output_file();
    struct puppet *p = puppet_between(in, out);
    struct control control = control_open(p);
    struct told told;
    struct line line = LINE(PROBE("announce", "0", "gate", "2", "pass", "exit", "1"));
    struct line undone = LINE(CMD("cat"), CMD("cat"), CMD("cat"));

    let_handle(SIGUSR1);
    fault_hold(p, FAULT_WAIT, 1);
    begin(p, run_line(line, IN, OUT));
    control_await(control, p, &told, 1);

    bool sleeps_in_wait = puppet_settle(p) == PUPPET_BLOCKED && fault_count(p, FAULT_WAIT) > 0;

    interrupt(p);
    interrupt(p);
    control_let_pass(control);
    fault_release(p);
    assert_succeeds(finish(p));
    assert_stage_exited(line, 0, 1);
    assert_file_holds(out, "still here\n");
    assert_no_children(p);

    for (unsigned n = 0; sleeps_in_wait && n <= 20; n++) {
        fault_clear(p);
        fault_fail(p, FAULT_FORK, 3, EAGAIN);
        if (n > 0)
            fault_fail(p, FAULT_WAIT, n, EINTR);

        int result = run_line(undone, IN, OUT);

        if (n == 0 && (result != -1 || !is_undone(p, undone)))
            break; /* that is another test */
        if (result != -1 || !is_undone(p, undone))
            fail_msg("wait was interrupted (EINTR) after fork had failed, and a stage was not "
                     "waited for, or its status is lost");
        if (fault_count(p, FAULT_WAIT) < n)
            break;
    }
}

TEST(waiting_is_asleep,
     "While stages run, pipeline_run sleeps until one of them ends, and one that is stopped has "
     "not; it neither spins nor polls.")
{
    int in = input_file("");
    int out = output_file();
    struct puppet *p = puppet_between(in, out);
    struct control control = control_open(p);
    struct told told[3];
    struct line line = LINE(PROBE("announce", "0", "gate", "2", "exit", "3"),
                            PROBE("announce", "1", "gate", "2"), PROBE("announce", "2"));

    begin(p, run_line(line, IN, OUT));
    control_await(control, p, told, 3);
    WAIT_UNTIL(activity_of(told[2].pid).state == 'Z');
    assert_blocked(p); /* the last one has ended, but not all */

    /* a stage that is stopped has not ended, nor one that goes on */
    for (size_t i = 0; i < 2; i++)
        send_signal(told[i].pid, SIGSTOP);
    WAIT_UNTIL(activity_of(told[0].pid).state == 'T' && activity_of(told[1].pid).state == 'T');
    assert_blocked(p);
    for (size_t i = 0; i < 2; i++)
        send_signal(told[i].pid, SIGCONT);
    WAIT_UNTIL(activity_of(told[0].pid).state != 'T' && activity_of(told[1].pid).state != 'T');
    assert_blocked(p);

    control_let_one_pass(control);
    assert_blocked(p);
    control_let_pass(control);
    assert_succeeds(finish(p));
    assert_stage_exited(line, 0, 3);
    assert_stage_exited(line, 1, 0);
    assert_stage_exited(line, 2, 0);
}

/* ---- descriptors -------------------------------------------------------- */

/* A line of so many cats. */
static struct line line_of_cats(size_t nstages)
{
    char **argvs[100];

    for (size_t i = 0; i < nstages && i < sizeof argvs / sizeof argvs[0]; i++)
        argvs[i] = CMD("cat");
    return line_of(nstages, argvs);
}

TEST(nothing_stays_with_the_caller,
     "After the call the caller has the descriptors it had before, close-on-exec or not as "
     "before, and no others, and no children, not even zombies; also with a hundred stages.")
{
    int in = input_file("x\n");
    int out = output_file();
    struct puppet *p = puppet_between(in, out);
    struct fds before = fds_of(puppet_pid(p));
    static const size_t nstages[] = {1, 20, 100};
    struct line missing = LINE(CMD("there-is-no-such-command"), CMD("cat"));

    for (size_t i = 0; i < sizeof nstages / sizeof nstages[0]; i++) {
        rewind_files(in, out);
        assert_line_succeeds(line_of_cats(nstages[i]), IN, OUT);
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

TEST(no_stage_holds_an_end_of_another_pipe,
     "A running stage has 0, 1, 2 and what the caller left inheritable; no end of a pipe besides "
     "its own 0 and 1.")
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

/* A command that only the caller's PATH finds prints a word that only the
 * caller's environment has, the umask and the current folder. */
static void assert_environment_inherited(int in, int out)
{
    struct puppet *p = puppet_current(); /* shell() starts others */
    char *folder =
        shell("d=$(mktemp -d) && printf '#!/bin/sh\\necho \"$LAB_WORD $(umask) $(pwd -P)\"\\n' "
              ">\"$d/only-here\" && chmod +x \"$d/only-here\" && cd \"$d\" && pwd -P",
              "");
    char path[300], expected[300];

    snprintf(path, sizeof path, "%s:/usr/bin:/bin", folder);
    puppet_use(p);
    IN_PUPPET(setenv, arena_string("PATH"), arena_string(path), 1);
    IN_PUPPET(setenv, arena_string("LAB_WORD"), arena_string("handed down"), 1);
    IN_PUPPET(umask, 027);
    if (IN_PUPPET(chdir, arena_string(folder)) != 0)
        testkit_broken("the puppet cannot go to %s", folder);
    snprintf(expected, sizeof expected, "handed down 0027 %s\n", folder);

    struct line line = LINE(CMD("only-here"), CMD("cat"));

    rewind_files(in, out);

    int result = run_line(line, IN, OUT);
    int error = errno;

    free(shell("rm -r \"$1\"", folder));
    errno = error;
    assert_succeeds(result);
    if (line.status[0] == W_EXITCODE(127, 0))
        fail_msg("a command in a folder of the caller's PATH was not found");
    assert_stage_exited(line, 0, 0);
    assert_file_holds(out, expected);
    free(folder);
}

TEST(stages_inherit_what_the_caller_left_open,
     "Descriptors that the caller left inheritable reach every stage, in_fd and out_fd under "
     "their own numbers do not, and those marked close-on-exec do not; the caller's environment "
     "(PATH decides what runs), current folder, umask and process group are the stages'.")
{
    int in = input_file("x\n");
    int out = output_file();
    struct puppet *p = puppet_between(in, out);
    struct control control = control_open(p);
    struct told told[3];
    struct line line = LINE(PROBE("announce", "0", "gate", "2", "pass"),
                            PROBE("announce", "1", "gate", "2", "pass"),
                            PROBE("announce", "2", "gate", "2", "pass"));

    puppet_give_fd(p, in, 5);
    puppet_give_fd(p, in, 300);
    puppet_give_fd(p, in, 41);
    IN_PUPPET(fcntl, 41, F_SETFD, FD_CLOEXEC);

    struct fds before = fds_of(puppet_pid(p));

    begin(p, run_line(line, IN, OUT));
    control_await(control, p, told, 3);

    struct fds first = fds_of(told[0].pid);
    struct fds last = fds_of(told[2].pid);

    for (size_t i = 0; i < 3; i++) {
        struct fds fds = fds_of(told[i].pid);
        bool has_five = false;

        for (size_t k = 0; k < fds.n; k++)
            if (fds.at[k].fd == 5)
                has_five = true;
            else if (fds.at[k].fd == IN || fds.at[k].fd == OUT)
                fail_msg("stage %zu still has %s as descriptor %d", i,
                         fds.at[k].fd == IN ? "in_fd" : "out_fd", fds.at[k].fd);
            else if (fds.at[k].fd == 41)
                fail_msg("stage %zu has descriptor 41, which was close-on-exec", i);
        if (!has_five || fds.at[fds.n - 1].fd != 300)
            fail_msg("stage %zu has lost descriptor %d, which was inheritable", i,
                     has_five ? 300 : 5);
        if (fds.n < 3 || fds.at[2].fd != STDERR_FILENO)
            fail_msg("stage %zu has no standard error", i);
        if (getpgid(told[i].pid) != getpgid(puppet_pid(p)))
            fail_msg("stage %zu is not in the caller's process group", i);
    }
    assert_string_equal(first.at[0].target, first.at[first.n - 1].target);
    assert_non_null(strstr(last.at[1].target, "memfd:out"));
    control_let_pass(control);
    assert_succeeds(finish(p));
    assert_file_holds(out, "x\n");
    assert_fds_as_before(p, before);
    assert_environment_inherited(in, out);
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

TEST(closed_standard_descriptors_do_no_harm,
     "When the caller's 0, 1 or 2 is closed, pipes may get these numbers: data flows all the "
     "same, a closed 2 stays closed in the stages, and no error message gets into the data.")
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

/* Runs a line that reads "a" from, and writes what is expected to, one and the
 * same descriptor. */
static void run_with_one_socket(struct puppet *p, struct line line, int number, bool cloexec,
                                const char *expected)
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

    assert_line_succeeds(line, number, number);
    if (recv(ends[0], answer, sizeof answer - 1, MSG_DONTWAIT) == -1 && errno != EAGAIN)
        fail_msg("the socket that is in_fd or out_fd was not read to its end: %s",
                 error_name(errno));
    if (strcmp(answer, expected) != 0) {
        char have[100], want[100];

        fail_msg("in_fd and out_fd are both %d, the same socket; \"%s\" came back; expected: "
                 "\"%s\"",
                 number, quoted(answer, have, sizeof have), quoted(expected, want, sizeof want));
    }
    assert_fds_as_before(p, before);
    close(ends[0]);
    close(ends[1]);
}

TEST(in_fd_and_out_fd_may_be_any_descriptors,
     "in_fd and out_fd may be crossed (1 and 0), the same, 2 (which stays standard error), or "
     "close-on-exec in their places already (dup2(0, 0) does not clear that flag).")
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

    /* output at 2, which is standard error as well */
    struct line complains = LINE(CMD("sed", "s/a/ab/"), CMD("sh", "-c", "cat; echo well >&2"));

    rewind_files(in, out);
    puppet_give_fd(p, out, STDERR_FILENO);
    assert_line_succeeds(complains, 1, 2);
    assert_file_holds(out, "ab\nwell\n");

    /* twice the same, wherever it lies */
    static const int numbers[] = {20, 2, 1, 0};

    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        run_with_one_socket(p, one, numbers[i], false, "ab\n");
        run_with_one_socket(p, two, numbers[i], true, "abc\n");
    }
    run_with_one_socket(p, complains, 2, false, "ab\nwell\n");

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

/* A puppet that blocks a signal, and ignores one. */
static struct puppet *puppet_with_signals(int in, int out)
{
    struct puppet *p = puppet_between(in, out);

    IN_PUPPET(signal, SIGUSR2, SIG_IGN);
    IN_PUPPET(sigprocmask, SIG_BLOCK, arena_set(SIGUSR1, SIGHUP), NULL);
    return p;
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
        else if (is_unwritten(word) || (!WIFEXITED(word) && !WIFSIGNALED(word)))
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

/* Fails unless a puppet that has nothing to do with the call is alive. */
static void assert_unharmed(struct puppet *bystander)
{
    struct puppet *current = puppet_current();

    if (activity_of(puppet_pid(bystander)).state != 'Z') /* or the signal is on its way */
        begin(bystander, IN_PUPPET(getpid));
    if (puppet_settle(bystander) == PUPPET_DEAD)
        fail_msg("a process that is no stage was killed");
    finish(bystander);
    puppet_use(current);
}

/* Makes the n-th call fail for every n, as long as one is made; gives how many
 * were. */
static unsigned sweep_failures(enum fault_call call, const char *name, int error)
{
    int in = input_file("swept\n");
    int out = output_file();
    struct puppet *bystander = puppet_start();
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
            assert_unharmed(bystander);
            continue;
        }
        assert_succeeds(result);
        for (size_t i = 0; i < line.nstages; i++)
            if (line.status[i] != 0 && !fault_fired(p))
                assert_stage_exited(line, i, 0);
            else if (line.status[i] != 0)
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

TEST(a_failed_fork_is_undone,
     "When any fork fails: -1 with its errno, started stages reaped, -1 as status of those never "
     "started, no descriptor left, the caller's signal mask and dispositions as before.")
{
    unsigned made = sweep_failures(FAULT_FORK, "fork", EAGAIN) +
                    sweep_failures(FAULT_SPAWN, "posix_spawn", EAGAIN);

    if (made == 0)
        fail_msg("four stages, and no fork() of the C library that could fail");
}

TEST(a_failed_pipe_is_undone,
     "When any pipe fails: -1 with its errno, started stages reaped, -1 as status of those never "
     "started, no descriptor left, the caller's signal mask and dispositions as before.")
{
    if (sweep_failures(FAULT_PIPE, "pipe", EMFILE) == 0)
        fail_msg("four stages, and no pipe() of the C library that could fail");
}

/* No stage runs its program with other descriptors than its own. */
static void sweep_dup(enum fault_call call, const char *name, int error)
{
    int in = input_file("swept\n");
    int out = output_file();
    int standard_output = file_named("elsewhere too", "", 0);
    struct puppet *p = puppet_with_signals(in, out);

    puppet_give_fd(p, file_named("elsewhere", "", 0), STDIN_FILENO); /* not for stages */
    puppet_give_fd(p, standard_output, STDOUT_FILENO);
    IN_PUPPET(putchar, '!'); /* the caller's, in its buffer */

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
        char *text = contents(out);

        assert_succeeds(result);
        assert_caller_as_before(p, &before);
        if (strchr(text, '!') != NULL || file_size(standard_output) > 1)
            fail_msg("%s number %u failed, and a child wrote what lay in the caller's stdio buffer",
                     name, n);
        if (nran == 3) { /* so it was tried again, or there was no failure */
            for (size_t i = 0; i < 3; i++)
                assert_stage_exited(line, i, 0);
            if (strcmp(text, "swept\n") != 0)
                fail_msg("%s number %u failed, and the stage's program ran all the same", name, n);
        } else {
            for (size_t i = 0; i < 3; i++)
                if (!ran[i])
                    assert_stage_exited(line, i, 126);
        }
        free(text);
        if (!fault_fired(p))
            break;
    }
    IN_PUPPET(fflush, NULL);
    assert_file_holds(standard_output, "!");
}

TEST(a_failed_dup2_starts_no_program,
     "A stage whose dup2 fails exits with 126 (by _exit) and does not run its program with the "
     "wrong descriptors.")
{
    sweep_dup(FAULT_DUP2, "dup2", EBUSY);
    sweep_dup(FAULT_DUP, "dup", EMFILE);
}

/* Fails unless as many stages as were started, and all that ran, died by the
 * one signal that no stage can ignore. */
static void assert_killed(const char *name, struct line line, size_t nstarted, const pid_t ran[])
{
    size_t killed = 0;

    for (size_t i = 0; i < line.nstages; i++)
        if (line.status[i] != -1) {
            assert_stage_killed(line, i, SIGKILL);
            killed++;
        }
    if (killed < nstarted)
        fail_msg("%s failed after %zu %s started; statuses that are not -1: %zu", name, nstarted,
                 nstarted == 1 ? "stage was" : "stages were", killed);
    for (size_t i = 0; i < line.nstages; i++)
        if (ran[i] != 0 && line.status[i] == -1)
            fail_msg("stage %zu ran, but its status is -1", i);
}

/* Notes the pids of those who have announced themselves; gives how many there are by now. */
static size_t hear_all(struct control control, pid_t ran[], size_t nstages)
{
    size_t n = 0;
    struct told told;

    while (control_hear(control, &told)) {
        size_t i = strtoul(told.said.name, NULL, 10);

        if (i < nstages)
            ran[i] = told.pid;
    }
    for (size_t i = 0; i < nstages; i++)
        n += ran[i] != 0;
    return n;
}

/* Whether a call stands still before the planned failure: all stages that it
 * has started are at their gates, and it sleeps. */
static bool comes_no_further(struct puppet *p, struct control control, pid_t ran[], size_t nstages)
{
    size_t n = hear_all(control, ran, nstages);

    return n == nstages || (n >= fault_count(p, FAULT_FORK) && puppet_settle(p) == PUPPET_BLOCKED);
}

/* Makes the n-th call fail while the stages before stand at a gate that nobody
 * opens; false when it does not get there. */
static bool failure_among_waiting_stages(enum fault_call call, const char *name, int error,
                                         unsigned n)
{
    int in = input_file("");
    int out = output_file();
    struct puppet *p = puppet_between(in, out);
    struct control control = control_open(p);
    pid_t ran[3] = {0};
    struct line line =
        LINE(PROBE("announce", "0", "gate", "2"), PROBE("announce", "1", "gate", "2"),
             PROBE("announce", "2", "gate", "2"));

    fault_fail(p, call, n, error);
    begin(p, run_line(line, IN, OUT));
    WAIT_UNTIL(fault_fired(p) || comes_no_further(p, control, ran, 3) || has_returned(p));
    if (!fault_fired(p)) {
        control_let_pass(control);
        finish(p);
        return false;
    }
    if (finish(p) == -1) { /* with which errno is another test, and so is 0 */
        assert_no_children(p);
        hear_all(control, ran, 3);
        assert_killed(name, line, fault_count(p, FAULT_FORK) - (call == FAULT_FORK), ran);
    }
    puppet_end(p);
    return true;
}

TEST(a_failure_ends_stages_that_would_run_for_ever,
     "After a failed fork or pipe, stages that were started are killed with SIGKILL before they "
     "are waited for: they might never end by themselves, and might ignore any other signal.")
{
    unsigned n = 1;

    while (n <= 20 && failure_among_waiting_stages(FAULT_FORK, "fork", EAGAIN, n))
        n++;
    n = 1;
    while (n <= 20 && failure_among_waiting_stages(FAULT_PIPE, "pipe", EMFILE, n))
        n++;
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

/* The program is started by a process that has two children already, one of
 * them a zombie, the other one at a gate that does not open. */
TEST(children_of_others_are_left_alone,
     "Only the stages are waited for, no other children of the calling process.")
{
    int in = input_file("");
    int out = output_file();
    struct puppet *p = puppet_start();
    const char *probe = program_path("probe");
    struct told told;

    puppet_give_fd(p, in, STDIN_FILENO);
    puppet_give_fd(p, out, STDOUT_FILENO);

    struct control control = control_open(p);
    int alive = gate_close(p, 33);

    puppet_exec(
        p, (const char *const[]){
               probe, "zombie",   "9",        "foster", "33",   "exec", program_path("pipeline"),
               probe, "announce", "0",        "gate",   "2",    "exit", "5",
               "|",   probe,      "announce", "1",      "gate", "2",    "exit",
               "6",   NULL});
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

TEST(buffered_output_comes_out_once,
     "What lies in the caller's stdio buffer is written once: a child that fails leaves by "
     "_exit.")
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
    fault_release(p);
    assert_succeeds(finish(p));
    assert_stage_exited(line, 0, 3);
}

/* All stages end while the caller is stopped: however many they are, it is
 * told by one SIGCHLD. */
static void stages_end_together(void)
{
    int in = input_file("");
    int out = output_file();
    struct puppet *p = puppet_between(in, out);
    struct control control = control_open(p);
    pid_t ran[3] = {0};
    struct line line =
        LINE(PROBE("announce", "0", "gate", "2", "exit", "5"),
             PROBE("announce", "1", "gate", "2", "exit", "6"), PROBE("announce", "2", "gate", "2"));

    begin(p, run_line(line, IN, OUT));
    WAIT_UNTIL(comes_no_further(p, control, ran, 3) || has_returned(p));
    puppet_settle(p);
    send_signal(puppet_pid(p), SIGSTOP);
    WAIT_UNTIL(activity_of(puppet_pid(p)).state == 'T');
    control_let_pass(control);
    for (size_t i = 0; i < 3; i++)
        WAIT_UNTIL(ran[i] == 0 || activity_of(ran[i]).state == 'Z');
    send_signal(puppet_pid(p), SIGCONT);
    assert_succeeds(finish(p));
    assert_stage_exited(line, 0, 5);
    assert_stage_exited(line, 1, 6);
    assert_stage_exited(line, 2, 0);
}

TEST(order_of_events_does_not_matter,
     "Whether a stage ends early or late, before or after the parent's next step, alone or "
     "together with all others, nothing is lost and nothing hangs.")
{
    for (int round = 0; round < 4; round++)
        stage_ends_during_the_first_wait();
    stages_end_together();

    int in = input_file("steady\n");
    int out = output_file();

    puppets_use_all_cpus();

    struct puppet *p = puppet_between(in, out);
    struct fds before = fds_of(puppet_pid(p));
    struct line line =
        LINE(PROBE("pass", "exit", "1"), PROBE("exit", "2"), PROBE("write", "end", "exit", "3"));
    struct line data = LINE(CMD("cat"), CMD("cat"), CMD("cat"));
    static const enum fault_call delayed[] = {FAULT_FORK, FAULT_EXEC, FAULT_WAIT,
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
