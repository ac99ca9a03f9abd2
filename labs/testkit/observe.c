/* observe.c - what a test sees of its puppets from outside: whether a call is
 * blocked, what descriptors and children a process has, what lies about.
 *
 * Theory of operation.  A call is blocked when nothing is left that could
 * move: every thread asleep, and CPU time and context switches the same over
 * two looks.  Sleep with a time limit, where the call has none, is polling;
 * so is waking again and again.  How often one looks changes nothing: the
 * measures are the puppet's own.
 */
#define _GNU_SOURCE
#include <mqueue.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "session.h"

enum {
    WAIT_SECONDS = 20,
    STUCK_SECONDS = 3,  /* asleep, and nobody has a limit */
    STILL_SECONDS = 10, /* asleep, and somebody may wake up by himself */
    MAX_IN_BOX = 1024,
    NO_LIMIT = 1000000,  /* in seconds, more than a week */
    SPIN_CPU_MS = 500,   /* more CPU time than this is no way to wait */
    POLL_SWITCHES = 200, /* nor is waking this often */
    QUIET_LOOKS = 3,
};

/* ---- deadlines ---------------------------------------------------------- */

uint64_t clock_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * SECOND_NS + now.tv_nsec;
}

uint64_t limit(unsigned most)
{
    return session.patience ? (uint64_t)most * session.patience : NO_LIMIT;
}

/* What all processes of the box and the test's own helpers have done so far;
 * false when one of them is at it. */
static bool add_up(uint64_t *moved, bool *limited)
{
    static pid_t pids[MAX_IN_BOX];
    size_t n = process_descendants(getpid(), pids, MAX_IN_BOX);

    if (session.box && session.box != session.stage_pid)
        n += process_descendants(session.box, pids + n, MAX_IN_BOX - n);
    *moved = n;
    *limited = n == MAX_IN_BOX;
    for (size_t i = 0; i < n; i++) {
        struct process_activity activity;

        if (!process_activity(pids[i], &activity))
            continue;
        if (activity.runnable)
            return false;
        *moved += activity.cpu_ns + activity.switches;
        *limited |= activity.in_timed_sleep || activity.in_unknown_sleep;
    }
    return true;
}

bool box_stands_still(struct stillness *still)
{
    uint64_t now = clock_ns();
    uint64_t moved;
    bool limited;

    if (now < still->next_look_ns)
        return false;
    still->next_look_ns = now + SECOND_NS / 10;
    if (!add_up(&moved, &limited) || still->since_ns == 0 || moved != still->moved) {
        still->since_ns = now;
        still->moved = moved;
        return false;
    }
    return now - still->since_ns > limit(limited ? STILL_SECONDS : STUCK_SECONDS) * SECOND_NS;
}

struct deadline deadline_start(void)
{
    return (struct deadline){.end_ns = clock_ns() + limit(WAIT_SECONDS) * SECOND_NS,
                             .pause_us = 50};
}

bool deadline_look_again(struct deadline *deadline)
{
    struct timespec pause = {.tv_nsec = deadline->pause_us * 1000};

    if (clock_ns() > deadline->end_ns || box_stands_still(&deadline->stillness))
        return false;
    nanosleep(&pause, NULL);
    if (deadline->pause_us < 5000)
        deadline->pause_us *= 2;
    return true;
}

/* ---- blocked, spinning, polling ------------------------------------------- */

static bool answered(const struct puppet *p)
{
    struct pollfd ready = {.fd = p->socket, .events = POLLIN};

    return p->busy && poll(&ready, 1, 0) == 1;
}

/* The kit itself holds the puppet up: in a planned pause or at a trap page. */
static bool held(const struct puppet *p)
{
    return atomic_load(&p->slot->delayed) > 0 || atomic_load(&p->slot->trapped) > 0;
}

static enum puppet_state settle(struct puppet *p, bool limits_allowed)
{
    struct process_activity before = {0}, now;
    struct deadline until = deadline_start();
    int quiet = 0;

    do {
        if (answered(p))
            return PUPPET_RETURNED;
        if (puppet_is_dead(p) || !process_activity(p->pid, &now))
            return PUPPET_DEAD;
        if (p->to_be_held && atomic_load(&p->slot->held) > 0)
            return PUPPET_HELD;
        if (now.cpu_ns > p->at_start.cpu_ns + limit(SPIN_CPU_MS) * UINT64_C(1000000))
            return PUPPET_SPINNING;
        if (now.switches > p->at_start.switches + limit(POLL_SWITCHES))
            return PUPPET_POLLING;
        if (held(p) || !now.asleep || now.cpu_ns != before.cpu_ns ||
            now.switches != before.switches)
            quiet = 0;
        else
            quiet++;
        before = now;
        if (quiet < QUIET_LOOKS)
            continue;
        if (answered(p)) /* it answered before it fell asleep over its socket */
            return PUPPET_RETURNED;
        if (now.in_nap || (now.in_timed_sleep && !limits_allowed))
            return PUPPET_POLLING;
        return PUPPET_BLOCKED;
    } while (deadline_look_again(&until));
    test_fail("%s: neither returned nor went to sleep", p->doing);
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

        test_fail("%s should wait, but returned %d (errno %d)", p->doing, (int)value, errno);
    }
    case PUPPET_SPINNING:
        test_fail("%s spins: it burns CPU time instead of sleeping until it is woken", p->doing);
    case PUPPET_POLLING:
        test_fail("%s polls: it sleeps a little and looks again, instead of sleeping until it is "
                  "woken",
                  p->doing);
    case PUPPET_HELD:
        testkit_broken("%s is held by fault_hold()", p->doing);
    case PUPPET_DEAD:
        finish_word(p); /* fails, and says how it ended, unless that answered before it died */
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

    while (atomic_load(&p->slot->trapped) == 0) {
        if (answered(p) || puppet_is_dead(p))
            test_fail("%s gave %d without touching all of the buffer", p->doing, finish(p));
        if (!deadline_look_again(&until))
            test_fail("%s never came to the end of the buffer", p->doing);
    }
}

/* ---- descriptors, children, objects ---------------------------------------- */

static void list_fds(char *text, size_t size, const struct fd_info *fds, size_t n)
{
    size_t used = snprintf(text, size, "%s", n ? "" : "none");

    for (size_t i = 0; i < n && used < size; i++)
        used += snprintf(text + used, size - used, "%s%d (%s%s)", i ? ", " : "", fds[i].fd,
                         fds[i].target, fds[i].cloexec ? ", close-on-exec" : "");
}

static bool same_fds(const struct fd_info *a, size_t na, const struct fd_info *b, size_t nb)
{
    if (na != nb)
        return false;
    for (size_t i = 0; i < na; i++)
        if (a[i].fd != b[i].fd || a[i].cloexec != b[i].cloexec ||
            strcmp(a[i].target, b[i].target) != 0)
            return false;
    return true;
}

void assert_fds_are(pid_t pid, const struct fd_info *expected, size_t n)
{
    struct fd_info fds[500];
    size_t found = process_fds(pid, fds, 500);
    char have[1000], want[1000];

    if (same_fds(fds, found, expected, n))
        return;
    list_fds(have, sizeof have, fds, found);
    list_fds(want, sizeof want, expected, n);
    test_fail("open descriptors are %s; they should be %s", have, want);
}

void assert_no_children(struct puppet *p)
{
    struct process_info children[64];
    size_t n = process_children(p->pid, children, 64);

    if (n)
        test_fail("after %s: %zu %s left, the first is %s, pid %d%s", p->doing, n,
                  n == 1 ? "child is" : "children are", children[0].name, children[0].pid,
                  children[0].state == 'Z' ? " (a zombie: nobody waited for it)" : "");
}

char *object_name(const char *stem)
{
    char name[96];

    snprintf(name, sizeof name, "/%.40s-%d.%u-%08x", stem, getpid(), session.ntests,
             (unsigned)nonce_new());
    return memcpy(arena_alloc(stem, strlen(name) + 1), name, strlen(name) + 1);
}

/* On a machine without a box of its own only names from object_name() in this
 * test are ours, and processes, which come to our stage. */
static bool is_ours(const char *line)
{
    char mark[32];

    snprintf(mark, sizeof mark, "-%d.%u-", getpid(), session.ntests);
    return !session.shared || strstr(line, mark) || strncmp(line, "process ", 8) == 0;
}

const char *leftovers(void)
{
    static char ours[OBJECTS_BYTES];
    char *lines = stage_objects();
    char *rest;

    ours[0] = '\0';
    for (char *line = strtok_r(lines, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
        if (is_ours(line))
            snprintf(ours + strlen(ours), sizeof ours - strlen(ours), "%s\n", line);
    return ours;
}

void assert_nothing_left(void)
{
    struct deadline until = deadline_start();
    const char *left;

    while (*(left = leftovers()))
        if (!deadline_look_again(&until))
            test_fail("left behind: %s", left);
}

void leftovers_remove(void)
{
    char *rest;

    for (char *line = strtok_r((char *)leftovers(), "\n", &rest); line;
         line = strtok_r(NULL, "\n", &rest)) {
        const char *name = strchr(line, '/');

        if (name && strncmp(line, "process ", 8) != 0) {
            mq_unlink(name);
            shm_unlink(name); /* unlinks semaphores as well: they are files there */
        }
    }
}
