/* test_hidden_signals.c - hidden tests of the group "signals": signal mask and
 * dispositions, interrupted system calls, waiting.
 */
#include "test_hidden.h"

/* Installs a handler in the puppet, a function of the C library that does no
 * harm; without SA_RESTART, so that it interrupts a system call that sleeps. */
static void install_handler(int number)
{
    struct sigaction action = {.sa_flags = 0};
    uint64_t function = IN_PUPPET(dlsym, NULL, arena_string("abs"));

    memcpy(&action.sa_handler, &function, sizeof action.sa_handler);
    if (action.sa_handler == SIG_DFL ||
        IN_PUPPET(sigaction, number, arena_input("action", &action, sizeof action), NULL) != 0)
        fail_msg("sigaction() failed in the process that calls pipeline_run()");
}

/* ---- mask and dispositions -------------------------------------------------- */

/* The signals that the caller ignores; stages inherit all but the first. */
static const int ignored[] = {SIGPIPE, SIGINT, SIGQUIT, SIGUSR2};
enum { NIGNORED = sizeof ignored / sizeof ignored[0] };

/* Makes the caller ignore these signals, handle SIGCHLD, and block all. */
static void set_signals_of_caller(void)
{
    sigset_t all;

    for (size_t i = 0; i < NIGNORED; i++)
        IN_PUPPET(signal, ignored[i], SIG_IGN);
    install_handler(SIGCHLD); /* blocked as well, so it interrupts nothing */
    sigfillset(&all);
    sigdelset(&all, SIGSEGV); /* the test kit handles these two */
    sigdelset(&all, SIGBUS);
    IN_PUPPET(sigprocmask, SIG_BLOCK, arena_input("signal set", &all, sizeof all), NULL);
}

static void assert_signals_of_stage(size_t stage, struct probe probe)
{
    struct signals signals = signals_of(probe.pid);

    if (signals.blocked != 0)
        fail_msg("stage %zu started with blocked signals: set 0x%llx", stage, signals.blocked);
    if (signals.ignored & signal_bit(SIGPIPE))
        fail_msg("stage %zu started with SIGPIPE ignored", stage);
    for (size_t i = 1; i < NIGNORED; i++)
        if (!(signals.ignored & signal_bit(ignored[i])))
            fail_msg("the caller ignores SIG%s, but stage %zu does not", sigabbrev_np(ignored[i]),
                     stage);
}

TEST(stages_start_with_sigpipe_and_mask_reset,
     "Each stage starts with default SIGPIPE and no blocked signal, inherits all other ignored "
     "signals, and the caller's mask and dispositions stay unchanged.")
{
    int in = input_file("");
    int out = output_file();
    struct puppet *p = puppet_with_files(in, out);
    struct control control = control_open(p);
    struct probe probes[3];

    set_signals_of_caller();

    struct caller before = caller_of(p);

    begin(p, run_pipeline(PIPELINE(PROBE("announce", "0", "gate", "2"),
                                   PROBE("announce", "1", "gate", "2"),
                                   PROBE("announce", "2", "gate", "2")),
                          IN, OUT));
    control_await_probes(control, p, probes, 3);
    for (size_t i = 0; i < 3; i++)
        assert_signals_of_stage(i, probes[i]);
    control_open_gates(control);
    assert_succeeds(finish(p));

    struct pipeline pipeline = PIPELINE(CMD("yes"), CMD("head", "-n", "1"));

    assert_succeeds(run_pipeline(pipeline, IN, OUT));
    assert_file_holds(out, "y\n");
    assert_stage_killed(pipeline, 0, SIGPIPE);
    assert_stage_exited(pipeline, 1, 0);
    assert_signals_unchanged(p, &before);
}

/* ---- interrupted system calls ------------------------------------------------ */

/* Interrupts a call that waits, by a signal that the caller handles. */
static void interrupt(struct puppet *p)
{
    if (!has_returned(p))
        send_signal(puppet_pid(p), SIGUSR1);
    if (has_returned(p)) {
        int result = finish(p); /* reports how it died, if it did */

        fail_msg("the caller handled a signal while stages ran, and pipeline_run returned %d (%s)",
                 result, error_name(errno));
    }
}

/* Interrupts the wait for a running stage; returns whether the call slept in a
 * function of the wait family. */
static bool interrupt_wait_for_a_stage(struct puppet *p, struct control control, int out)
{
    struct probe probe;
    struct pipeline pipeline = PIPELINE(PROBE("announce", "0", "gate", "2", "pass", "exit", "1"));

    fault_hold(p, FAULT_WAIT, 1);
    begin(p, run_pipeline(pipeline, IN, OUT));
    control_await_probes(control, p, &probe, 1);

    bool sleeps_in_wait = puppet_settle(p) == PUPPET_BLOCKED && fault_count(p, FAULT_WAIT) > 0;

    interrupt(p);
    interrupt(p);
    control_open_gates(control);
    fault_release(p);
    assert_succeeds(finish_pipeline(p, pipeline));
    assert_stage_exited(pipeline, 0, 1);
    assert_file_holds(out, "still here\n");
    assert_no_children(p);
    assert_called(p, FAULT_WAIT);
    return sleeps_in_wait;
}

/* Whether a call that failed has waited for every stage that it had started. */
static bool has_waited_for_all(struct puppet *p, struct pipeline pipeline)
{
    struct process_info child;
    size_t never_started = 0;

    for (size_t i = 0; i < pipeline.nstages; i++)
        if (!WIFEXITED(pipeline.status[i]) && !WIFSIGNALED(pipeline.status[i]))
            never_started++;
    return never_started + fault_count(p, FAULT_FORK) - 1 == pipeline.nstages &&
           process_children(puppet_pid(p), &child, 1) == 0;
}

/* Makes the third fork fail, and then each wait in turn with EINTR: killed
 * stages end too soon for a real signal to interrupt the wait for them. */
static void interrupt_wait_after_a_failure(struct puppet *p)
{
    struct pipeline pipeline = PIPELINE(CMD("cat"), CMD("cat"), CMD("cat"));

    for (unsigned n = 0; n <= 20; n++) {
        fault_clear(p);
        fault_watch(p, FAULT_WAIT);
        fault_fail(p, FAULT_FORK, 3, EAGAIN);
        if (n > 0)
            fault_fail(p, FAULT_WAIT, n, EINTR);

        int result = run_pipeline(pipeline, IN, OUT);
        bool undone = result == -1 && has_waited_for_all(p, pipeline);

        if (n == 0 && !undone)
            break; /* another test checks that */
        if (!undone)
            fail_msg("wait was interrupted (EINTR) after fork had failed, and a stage was not "
                     "waited for, or its wait status is lost");
        if (fault_count(p, FAULT_WAIT) < n)
            break;
    }
}

TEST(an_interrupted_wait_is_restarted,
     "A wait that a signal interrupts (EINTR) is restarted, also while a failure is undone; no "
     "wait status is lost.")
{
    int in = input_file("still here\n");
    int out = output_file();
    struct puppet *p = puppet_with_files(in, out);
    struct control control = control_open(p);

    install_handler(SIGUSR1);
    if (interrupt_wait_for_a_stage(p, control, out))
        interrupt_wait_after_a_failure(p);
}

/* ---- waiting ------------------------------------------------------------------ */

TEST(waiting_neither_spins_nor_polls,
     "While stages run, pipeline_run sleeps without spinning or polling, and a stopped stage does "
     "not count as ended.")
{
    int in = input_file("");
    int out = output_file();
    struct puppet *p = puppet_with_files(in, out);
    struct control control = control_open(p);
    struct probe probes[3];
    struct pipeline pipeline =
        PIPELINE(PROBE("announce", "0", "gate", "2", "exit", "3"),
                 PROBE("announce", "1", "gate", "2"), PROBE("announce", "2"));

    begin(p, run_pipeline(pipeline, IN, OUT));
    control_await_probes(control, p, probes, 3);
    WAIT_UNTIL(has_ended(probes[2].pid));
    assert_blocked(p); /* the last stage has ended, but the others have not */

    /* neither a stage that stops nor one that continues has ended */
    for (size_t i = 0; i < 2; i++)
        send_signal(probes[i].pid, SIGSTOP);
    WAIT_UNTIL(is_stopped(probes[0].pid) && is_stopped(probes[1].pid));
    assert_blocked(p);
    for (size_t i = 0; i < 2; i++)
        send_signal(probes[i].pid, SIGCONT);
    WAIT_UNTIL(!is_stopped(probes[0].pid) && !is_stopped(probes[1].pid));
    assert_blocked(p);

    control_open_one_gate(control);
    assert_blocked(p);
    control_open_gates(control);
    assert_succeeds(finish_pipeline(p, pipeline));
    assert_stage_exited(pipeline, 0, 3);
    assert_stage_exited(pipeline, 1, 0);
    assert_stage_exited(pipeline, 2, 0);
}
