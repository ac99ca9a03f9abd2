/* test_hidden_caller.c - hidden tests of the group "caller": its other children,
 * its stdio buffers, and race conditions with stages that end.
 */
#include "test_hidden.h"

/* ---- other children ------------------------------------------------------------ */

static size_t zombies_of(struct puppet *p)
{
    struct process_info children[16];
    size_t n = process_children(puppet_pid(p), children, 16);
    size_t zombies = 0;

    for (size_t i = 0; i < n && i < 16; i++)
        zombies += children[i].state == 'Z';
    return zombies;
}

/* Whether a process has come to its wait: it sleeps, has spun long enough to
 * have come there, or has ended. */
static bool is_waiting(pid_t pid)
{
    enum { ENOUGH_TICKS = 20 };
    struct activity activity = activity_of(pid);

    return activity.state == 'S' || activity.state == 'Z' || activity.cpu_ticks > ENOUGH_TICKS;
}

/* Starts the program in a process that already has two children: a zombie, and
 * one that waits at the gate `fd`. */
static void exec_pipeline_with_children(struct puppet *p, const char *fd)
{
    const char *probe = program_path("probe");
    /* clang-format off */
    const char *const argv[] = {
        probe, "zombie", "9", "child", fd, "exec",
        program_path("pipeline"),
        probe, "announce", "0", "gate", "2", "exit", "5",
        "|",
        probe, "announce", "1", "gate", "2", "exit", "6",
        NULL};
    /* clang-format on */

    puppet_exec(p, argv);
}

TEST(other_children_are_not_waited_for,
     "The call waits for its own stages only and never reaps another child of the caller.")
{
    int in = input_file("");
    int out = output_file();
    struct puppet *p = puppet_start();
    struct probe probe;

    puppet_give_fd(p, in, STDIN_FILENO);
    puppet_give_fd(p, out, STDOUT_FILENO);

    struct control control = control_open(p);
    int gate = gate_make(p, 33);

    exec_pipeline_with_children(p, "33");
    for (int started = 0; started < 2; started++) {
        bool ended = false;

        WAIT_UNTIL(control_receive(control, &probe) || (ended = has_ended(puppet_pid(p))));
        if (ended)
            fail_msg("pipeline ended before its stages did");
    }
    WAIT_UNTIL(zombies_of(p) != 1 || is_waiting(puppet_pid(p)));
    if (zombies_of(p) != 1)
        fail_msg("a child of the caller that is not a stage was waited for");
    control_open_gates(control);

    int wstatus = puppet_wait(p);

    if (wstatus != W_EXITCODE(6, 0))
        fail_msg("pipeline %s; expected: the last stage's exit status, 6",
                 stage_status_text(wstatus));
    gate_open(gate);
}

/* ---- stdio ------------------------------------------------------------------------ */

TEST(buffered_output_is_written_once,
     "Data in the caller's stdio buffer is written once: a child whose exec fails ends with "
     "_exit.")
{
    int in = input_file("");
    int out = output_file();
    int standard_output = output_file();
    struct puppet *p = puppet_with_files(in, out);

    puppet_give_fd(p, standard_output, STDOUT_FILENO);
    IN_PUPPET(putchar, '!');

    struct pipeline pipeline = PIPELINE(CMD("there-is-no-such-command"), CMD("true"), CMD("/"));

    assert_succeeds(run_pipeline(pipeline, IN, OUT));
    IN_PUPPET(fflush, NULL);
    assert_file_holds(standard_output, "!");

    /* the last child's descriptor 1 is this file; error messages may be in it */
    char *text = file_contents(out);

    if (strchr(text, '!') != NULL)
        fail_msg("a child, too, wrote what was in the caller's stdio buffer");
    free(text);
}

/* ---- race conditions ---------------------------------------------------------------- */

/* The stage ends while the caller sleeps in its first wait, or right after that
 * call and before the caller's next step: a lost wake-up would hang. */
static void end_stage_during_first_wait(void)
{
    int in = input_file("");
    int out = output_file();
    struct puppet *p = puppet_with_files(in, out);
    struct control control = control_open(p);
    struct probe stage;
    struct pipeline pipeline = PIPELINE(PROBE("announce", "0", "gate", "2", "exit", "3"));

    fault_hold(p, FAULT_WAIT, 1);
    begin(p, run_pipeline(pipeline, IN, OUT));
    control_await_probes(control, p, &stage, 1);
    puppet_settle(p);
    control_open_gates(control);
    WAIT_UNTIL(has_ended(stage.pid));
    fault_release(p);
    assert_succeeds(finish_pipeline(p, pipeline));
    assert_stage_exited(pipeline, 0, 3);
}

/* All stages end while the caller is stopped, so that a single SIGCHLD is
 * pending for all of them. */
static void end_stages_together(void)
{
    int in = input_file("");
    int out = output_file();
    struct puppet *p = puppet_with_files(in, out);
    struct control control = control_open(p);
    pid_t pids[3] = {0};
    struct pipeline pipeline = PIPELINE(PROBE("announce", "0", "gate", "2", "exit", "5"),
                                        PROBE("announce", "1", "gate", "2", "exit", "6"),
                                        PROBE("announce", "2", "gate", "2"));

    fault_watch(p, FAULT_FORK);
    begin(p, run_pipeline(pipeline, IN, OUT));
    WAIT_UNTIL(makes_no_progress(p, control, pids, 3) || has_returned(p));
    puppet_settle(p);
    send_signal(puppet_pid(p), SIGSTOP);
    WAIT_UNTIL(is_stopped(puppet_pid(p)));
    control_open_gates(control);
    for (size_t i = 0; i < 3; i++)
        WAIT_UNTIL(pids[i] == 0 || has_ended(pids[i]));
    send_signal(puppet_pid(p), SIGCONT);
    assert_succeeds(finish_pipeline(p, pipeline));
    assert_stage_exited(pipeline, 0, 5);
    assert_stage_exited(pipeline, 1, 6);
    assert_stage_exited(pipeline, 2, 0);
}

static void delay_all_calls(struct puppet *p, uint64_t seed)
{
    static const enum fault_call delayed[] = {FAULT_FORK, FAULT_EXEC, FAULT_WAIT,
                                              FAULT_PIPE, FAULT_DUP2, FAULT_CLOSE};

    fault_clear(p);
    for (size_t i = 0; i < sizeof delayed / sizeof delayed[0]; i++)
        fault_delay(p, delayed[i], seed + i, 3000);
}

/* Random delays before and after every system call that matters. */
static void run_with_random_delays(void)
{
    int in = input_file("steady\n");
    int out = output_file();

    puppets_use_all_cpus();

    struct puppet *p = puppet_with_files(in, out);
    struct fds before = fds_of(puppet_pid(p));
    struct pipeline early = PIPELINE(PROBE("pass", "exit", "1"), PROBE("exit", "2"),
                                     PROBE("write", "end", "exit", "3"));
    struct pipeline data = PIPELINE(CMD("cat"), CMD("cat"), CMD("cat"));

    for (uint64_t round = 0; round < 8; round++) {
        delay_all_calls(p, testkit_seed() + 100 * round);
        fault_watch(p, FAULT_SPAWN);
        rewind_files(in, out);
        assert_succeeds(run_pipeline(early, IN, OUT));
        /* when the second stage has ended, the first one gets SIGPIPE */
        if (early.status[0] != W_EXITCODE(1, 0))
            assert_stage_killed(early, 0, SIGPIPE);
        assert_stage_exited(early, 1, 2);
        assert_stage_exited(early, 2, 3);
        assert_file_holds(out, "end\n");

        rewind_files(in, out);
        assert_pipeline_succeeds(data, IN, OUT);
        assert_file_holds(out, "steady\n");
        assert_no_children(p);
        assert_fds_unchanged(p, before);
        assert_called(p, FAULT_FORK, FAULT_SPAWN);
        assert_called(p, FAULT_WAIT);
    }
}

TEST(no_race_loses_a_wake_up_or_a_status,
     "Stages may end early, late or all at once: no race condition loses a wake-up, a wait status "
     "or data.")
{
    for (int round = 0; round < 4; round++)
        end_stage_during_first_wait();
    end_stages_together();
    run_with_random_delays();
}
