/* blocked.c - whether a call is blocked, seen from outside the puppet.
 *
 * Theory of operation.  A call is blocked when every thread of the puppet
 * sleeps, and its CPU time and its context switches stay the same over several
 * samples.  A sleep with a time limit, where the call has none, is polling; so
 * is waking again and again.  All measures are the puppet's own, so the result
 * does not depend on how often the test samples them.  Nor may another process
 * that the submission started poll on the puppet's behalf: not a child that has
 * not called exec, and after forbid_children() none at all.
 */
#include <errno.h>
#include <string.h>

#include "clock.h"
#include "decisions.h"
#include "failure.h"
#include "fork_server_client.h"
#include "serve.h"
#include "session.h"
#include "support.h"

enum {
    SPIN_CPU_MS = 500,   /* a wait that uses more CPU time than this spins */
    POLL_SWITCHES = 200, /* a wait that wakes more often than this polls */
    QUIET_SAMPLES = 3,
};

static bool has_returned(struct puppet *p)
{
    return p->busy && has_reply(p) && p->ninbox > 0;
}

/* Its state could be read before the submission was loaded. */
__attribute__((noreturn)) static void fail_for_unreadable(const struct puppet *p)
{
    test_fail("%s: the process made itself unreadable, so it cannot be seen to wait", p->doing);
}

enum { MAX_OTHERS = 256 };

static const struct puppet *find_puppet(pid_t pid)
{
    for (size_t i = 0; i < puppets_count(); i++)
        if (puppets_get(i)->pid == pid)
            return puppets_get(i);
    return NULL;
}

/* What could wake a call, besides puppets that are in a call themselves. */
struct others {
    bool runnable, in_timed_sleep;
    bool waker; /* a process of the submission that should not be there */
};

static bool children_are_forbidden;

void forbid_children(void)
{
    children_are_forbidden = true;
}

static bool is_waker(pid_t pid, const char *puppet_program)
{
    char program[512];

    return children_are_forbidden ||
           (process_program(pid, program, sizeof program) && strcmp(program, puppet_program) == 0);
}

static void add_other(pid_t pid, const char *puppet_program, struct others *others)
{
    const struct puppet *puppet = find_puppet(pid);
    struct process_activity activity;

    if ((puppet && puppet->busy) || !process_activity(pid, &activity))
        return;
    others->runnable |= activity.runnable;
    others->in_timed_sleep |= activity.in_timed_sleep;
    others->waker |= !puppet && activity.asleep && is_waker(pid, puppet_program);
}

static struct others look_at_others(const struct puppet *p)
{
    struct others others = {0};
    pid_t pids[MAX_OTHERS];
    size_t n = process_descendants(session.sandbox, pids, MAX_OTHERS);
    char program[512] = "";

    if (n > 1)
        process_program(p->pid, program, sizeof program);
    for (size_t i = 0; i < n; i++)
        add_other(pids[i], program, &others);
    return others;
}

static enum puppet_state settle(struct puppet *p, bool limits_allowed)
{
    struct process_activity before = {0}, now;
    struct others others = {0};
    struct deadline until = deadline_start();
    unsigned long nreceived;
    int quiet = 0;

    do {
        if (has_returned(p))
            return PUPPET_RETURNED;
        nreceived = p->nreceived;
        if (puppet_is_dead(p) || !process_activity(p->pid, &now))
            return PUPPET_DEAD;
        if (decisions_hold(p))
            return PUPPET_HELD;
        if (now.cpu_ns > p->at_start.cpu_ns + scaled_limit(SPIN_CPU_MS) * UINT64_C(1000000))
            return PUPPET_SPINNING;
        if (now.switches > p->at_start.switches + scaled_limit(POLL_SWITCHES))
            return PUPPET_POLLING;
        if (decisions_delay(p) || !now.asleep || now.cpu_ns != before.cpu_ns ||
            now.switches != before.switches)
            quiet = 0;
        else
            quiet++;
        before = now;
        if (quiet < QUIET_SAMPLES)
            continue;
        if (has_returned(p)) /* it replied before it waited for the next request */
            return PUPPET_RETURNED;
        others = look_at_others(p);
        if (p->nreceived != nreceived || others.runnable || others.waker) {
            quiet = 0; /* it slept until its question was answered, or may be woken */
            continue;
        }
        if (now.in_unknown_sleep && p->observable)
            fail_for_unreadable(p);
        if (now.in_nap || others.in_timed_sleep || (now.in_timed_sleep && !limits_allowed))
            return PUPPET_POLLING;
        return PUPPET_BLOCKED;
    } while (deadline_look_again(&until));
    if (others.waker)
        test_fail("%s: a %s, and may wake it", p->doing,
                  children_are_forbidden ? "process that the submission started is there"
                                         : "child process is there that has not called exec");
    test_fail("%s: neither returned nor went to sleep (%s%s%s)", p->doing,
              before.asleep     ? "asleep"
              : before.runnable ? "running"
                                : "stopped",
              decisions_delay(p) ? ", paused by the test" : "",
              others.runnable ? ", and another process is running" : "");
}

enum puppet_state puppet_settle(struct puppet *p)
{
    return settle(p, true);
}

static void check_blocked(struct puppet *p, bool limits_allowed)
{
    switch (settle(p, limits_allowed)) {
    case PUPPET_BLOCKED:
        return;
    case PUPPET_RETURNED: {
        uint64_t value = finish_word(p);

        test_fail("%s should wait, but returned %d (%s)", p->doing, (int)value, error_name(errno));
    }
    case PUPPET_SPINNING:
        test_fail("%s spins: it busy-waits instead of sleeping until it is woken", p->doing);
    case PUPPET_POLLING:
        test_fail(
            "%s polls: it sleeps for a short time and looks again, instead of sleeping until it is "
            "woken",
            p->doing);
    case PUPPET_HELD:
        testkit_broken("%s is held by fault_hold()", p->doing);
    case PUPPET_DEAD:
        finish_word(p); /* fails, and says how it ended, unless it replied before it died */
        test_fail("%s should wait, but returned, and the process ended", p->doing);
    }
}

void assert_blocked(struct puppet *p)
{
    check_blocked(p, false);
}

void assert_blocked_with_timeout(struct puppet *p)
{
    check_blocked(p, true);
}

void assert_trapped(struct puppet *p)
{
    struct deadline until = deadline_start();

    while (!fork_server_ask(FRAME_TRAPPED, p->sandbox_pid)) {
        if (has_returned(p) || puppet_is_dead(p))
            test_fail("%s returned %d without touching all of the buffer", p->doing, finish(p));
        if (!deadline_look_again(&until))
            test_fail("%s never reached the end of the buffer", p->doing);
    }
}
