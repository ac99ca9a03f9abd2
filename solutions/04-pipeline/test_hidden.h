/* test_hidden.h - what the hidden tests of this lab share: calls in the puppet,
 * signals, the state of the caller and of its stages.
 *
 * The tests are in test_hidden_GROUP.c, one file for each group of lab.toml.
 */
#ifndef TEST_HIDDEN_H
#define TEST_HIDDEN_H

#include "stub.h"
#include "test_support.h"

/* ---- signals -------------------------------------------------------------- */

static inline unsigned long long signal_bit(int number)
{
    return 1ULL << (number - 1);
}

/* Sends a signal to a process, by its pid as the test sees it, if it still
 * exists. */
static inline void send_signal(pid_t pid, int number)
{
    if (kill(pid, number) == -1 && errno != ESRCH)
        testkit_broken("kill: %s", strerror(errno));
}

/* Bit n - 1 of a set stands for signal n. */
struct signals {
    unsigned long long blocked, ignored, caught;
};

/* The signals of a process that is alive, as the kernel shows them. */
static inline struct signals signals_of(pid_t pid)
{
    struct signals signals;
    char path[64];
    char line[200];
    int found = 0;

    snprintf(path, sizeof path, "/proc/%d/status", pid);

    FILE *file = fopen(path, "re");

    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        found += sscanf(line, "SigBlk: %llx", &signals.blocked) == 1 ||
                 sscanf(line, "SigIgn: %llx", &signals.ignored) == 1 ||
                 sscanf(line, "SigCgt: %llx", &signals.caught) == 1;
    if (file != NULL)
        fclose(file);
    if (found != 3)
        fail_msg("the process has ended whose signals should be looked at");
    return signals;
}

/* ---- the caller ------------------------------------------------------------ */

/* What pipeline_run must leave as it was. */
struct caller {
    struct fds fds;
    struct signals signals;
};

static inline struct caller caller_of(struct puppet *p)
{
    struct caller caller = {fds_of(puppet_pid(p)), signals_of(puppet_pid(p))};

    /* the C library catches these two once a thread has been created */
    caller.signals.caught &= ~(signal_bit(32) | signal_bit(33));
    return caller;
}

static inline void assert_signals_unchanged(struct puppet *p, const struct caller *caller)
{
    struct signals before = caller->signals, now = caller_of(p).signals;

    if (now.blocked != before.blocked)
        fail_msg("the caller's signal mask was 0x%llx before the call and is 0x%llx now",
                 before.blocked, now.blocked);
    if (now.ignored != before.ignored || now.caught != before.caught)
        fail_msg("the caller ignored the signals 0x%llx and handled 0x%llx before the call; "
                 "now 0x%llx and 0x%llx",
                 before.ignored, before.caught, now.ignored, now.caught);
}

static inline void assert_caller_unchanged(struct puppet *p, const struct caller *before)
{
    assert_no_children(p);
    assert_fds_unchanged(p, before->fds);
    assert_signals_unchanged(p, before);
}

/* Whether a call has returned; lets a puppet go on that fault_hold() stopped. */
static inline bool has_returned(struct puppet *p)
{
    enum puppet_state state = puppet_settle(p);

    if (state == PUPPET_HELD)
        fault_release(p);
    return state == PUPPET_RETURNED || state == PUPPET_DEAD;
}

/* ---- processes ------------------------------------------------------------- */

struct activity {
    char state; /* R S Z ..., as /proc shows it; 'Z' also if the process is gone */
    unsigned long cpu_ticks;
};

static inline struct activity activity_of(pid_t pid)
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

static inline bool has_ended(pid_t pid)
{
    return activity_of(pid).state == 'Z';
}

static inline bool is_stopped(pid_t pid)
{
    return activity_of(pid).state == 'T';
}

/* ---- stages ---------------------------------------------------------------- */

/* Stores the pids of the probes that have announced themselves since the last
 * time; returns how many pids are stored by now. */
static inline size_t collect_pids(struct control control, pid_t pids[], size_t nstages)
{
    size_t n = 0;
    struct probe probe;

    while (control_receive(control, &probe))
        if (stage_of(probe) < nstages)
            pids[stage_of(probe)] = probe.pid;
    for (size_t i = 0; i < nstages; i++)
        n += pids[i] != 0;
    return n;
}

/* Whether a call makes no progress any more: all stages that it has started
 * wait at their gates, and it is blocked. */
static inline bool makes_no_progress(struct puppet *p, struct control control, pid_t pids[],
                                     size_t nstages)
{
    size_t n = collect_pids(control, pids, nstages);

    return n == nstages || (n >= fault_count(p, FAULT_FORK) && puppet_settle(p) == PUPPET_BLOCKED);
}

#endif
