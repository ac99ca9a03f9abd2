/* progress.c - whether anything in the sandbox can still run (progress.h),
 * and the deadlines of WAIT_UNTIL().
 */
#include "progress.h"

#include <unistd.h>

#include "clock.h"
#include "serve.h"
#include "session.h"
#include "support.h"

enum {
    WAIT_SECONDS = 20,
    BLOCKED_SECONDS = 3, /* all are asleep, without a time limit */
    ASLEEP_SECONDS = 10, /* all are asleep, some perhaps with a time limit */
    MAX_PROCESSES = 1024,
};

/* Adds up the CPU time and context switches of all processes of the sandbox and
 * of the test's own children; false when one of them can run. */
static bool add_up(uint64_t *work, bool *limited)
{
    static pid_t pids[MAX_PROCESSES];
    size_t n = process_descendants(getpid(), pids, MAX_PROCESSES);

    if (session.sandbox && session.sandbox != session.fork_server_pid)
        n += process_descendants(session.sandbox, pids + n, MAX_PROCESSES - n);
    *work = n;
    *limited = n == MAX_PROCESSES;
    for (size_t i = 0; i < n; i++) {
        struct process_activity activity;

        if (!process_activity(pids[i], &activity))
            continue;
        if (activity.runnable)
            return false;
        *work += activity.cpu_ns + activity.switches;
        *limited |= activity.in_timed_sleep || activity.in_unknown_sleep;
    }
    return true;
}

bool nothing_can_run(struct progress *progress)
{
    uint64_t now = now_ns();
    uint64_t work;
    bool limited;

    if (now < progress->next_look_ns)
        return false;
    progress->next_look_ns = now + SECOND_NS / 10;
    if (!add_up(&work, &limited) || progress->since_ns == 0 || work != progress->work) {
        progress->since_ns = now;
        progress->work = work;
        return false;
    }
    return now - progress->since_ns >
           scaled_limit(limited ? ASLEEP_SECONDS : BLOCKED_SECONDS) * SECOND_NS;
}

struct deadline deadline_start(void)
{
    return (struct deadline){.end_ns = now_ns() + scaled_limit(WAIT_SECONDS) * SECOND_NS,
                             .pause_us = 50};
}

bool deadline_look_again(struct deadline *deadline)
{
    if (now_ns() > deadline->end_ns || nothing_can_run(&deadline->progress))
        return false;
    serve(deadline->pause_us);
    if (deadline->pause_us < 5000)
        deadline->pause_us *= 2;
    return true;
}
