/* puppets.c - starts, ends, kills and reaps the puppets of a test (testkit.h).
 *
 * The fork server forks them and waits for them (puppet/fork_server.c).  A
 * pidfd shows whether a puppet is alive; its socket does not, for a daemon may
 * keep a dead puppet's socket open.
 */
#include "puppets.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arena.h"
#include "clock.h"
#include "control.h"
#include "failure.h"
#include "fork_server_client.h"
#include "session.h"
#include "shared/channel.h"

enum { END_SECONDS = 10, HELLO_SECONDS = 30 };

static struct puppet puppets[MAX_PUPPETS];
static size_t npuppets;
static struct puppet *current;

size_t puppets_count(void)
{
    return npuppets;
}

struct puppet *puppets_get(size_t index)
{
    return &puppets[index];
}

/* ---- the end ------------------------------------------------------------- */

bool puppet_ends_within(const struct puppet *p, int timeout_ms)
{
    struct pollfd end = {.fd = p->pidfd, .events = POLLIN};

    return poll(&end, 1, timeout_ms) == 1;
}

bool puppet_is_dead(const struct puppet *p)
{
    return p->pidfd < 0 || puppet_ends_within(p, 0);
}

void reap(struct puppet *p)
{
    struct frame request = {.kind = FRAME_WAIT, .words = {p->sandbox_pid}}, reply;
    int fd;

    if (p->pidfd < 0)
        return;
    close(p->pidfd);
    close(p->socket);
    p->pidfd = p->socket = -1;
    p->status = fork_server_request(&request, -1, &reply, &fd) ? (int)reply.words[0] : -1;
    if (p->status != -1 && WIFSIGNALED(p->status) && WTERMSIG(p->status) == SIGXCPU)
        failure_is_hang();
}

void kill_and_reap(struct puppet *p)
{
    if (p->pidfd >= 0)
        syscall(SYS_pidfd_send_signal, p->pidfd, SIGKILL, NULL, 0);
    reap(p);
}

void puppet_kill(struct puppet *p)
{
    kill_and_reap(p);
}

void puppet_end(struct puppet *p)
{
    struct frame request = {.kind = FRAME_END};

    if (p->pidfd < 0)
        return;
    if (p->busy || channel_send(p->socket, &request, -1) < 0 ||
        !puppet_ends_within(p, scaled_limit(END_SECONDS) * 1000))
        kill_and_reap(p);
    else
        reap(p);
}

void puppets_end(void)
{
    for (size_t i = 0; i < npuppets; i++)
        puppet_end(&puppets[i]);
}

void puppets_kill(void)
{
    for (size_t i = 0; i < npuppets; i++) {
        struct puppet *p = &puppets[i];

        if (p->pidfd < 0)
            continue;
        syscall(SYS_pidfd_send_signal, p->pidfd, SIGKILL, NULL, 0);
        close(p->pidfd);
        close(p->socket);
    }
    npuppets = 0;
    current = NULL;
}

void puppets_explain(void)
{
    for (size_t i = 0; i < npuppets; i++) {
        struct puppet *p = &puppets[i];

        if (!p->busy || p->pidfd < 0)
            continue;
        if (p->describe_progress)
            p->describe_progress(p);
        fprintf(stderr, "in progress: %s\n", p->doing);
    }
}

/* ---- the start ------------------------------------------------------------- */

/* Once student code has run in the sandbox, its children may use up the limit
 * of processes there. */
__attribute__((noreturn)) static void fail_to_start(const char *why)
{
    if (!session.calls_begun)
        testkit_broken("cannot start a puppet: %s", why);
    test_fail("the submission left the sandbox unable to start a process: %s", why);
}

/* FRAME_HELLO comes before the submission is loaded, so its sender is trusted. */
static void handshake(struct puppet *p)
{
    struct timeval start_limit = {.tv_sec = HELLO_SECONDS}, look = {.tv_usec = LOOK_MS * 1000};
    struct frame hello;
    int fd;

    setsockopt(p->socket, SOL_SOCKET, SO_RCVTIMEO, &start_limit, sizeof start_limit);
    if (channel_receive_from(p->socket, &hello, &fd, &p->pid) != sizeof hello ||
        hello.kind != FRAME_HELLO || p->pid <= 0)
        fail_to_start("it did not send its first frame");
    setsockopt(p->socket, SOL_SOCKET, SO_RCVTIMEO, &look, sizeof look);
    if (!session.sandbox)
        session.sandbox = process_parent(p->pid);
    p->pidfd = syscall(SYS_pidfd_open, p->pid, 0);
    if (p->pidfd < 0)
        fail_to_start(strerror(errno));
    p->observable = process_is_observable(p->pid);
}

struct puppet *puppet_start(void)
{
    struct puppet *p = &puppets[npuppets];
    struct frame request = {.kind = FRAME_START, .words = {npuppets, (int64_t)session.cpu}};
    struct frame reply;

    if (npuppets == MAX_PUPPETS)
        test_ran_out("there were more than %d puppets", MAX_PUPPETS);
    *p = (struct puppet){.number = npuppets, .pidfd = -1, .socket = -1};
    if (!fork_server_request(&request, arena_fd(), &reply, &p->socket))
        fail_to_start(strerror(reply.error));
    p->sandbox_pid = reply.words[0];
    npuppets++;
    handshake(p);
    control_arm(p->number, HEAP_ALLOCATED, session.count_heap);
    control_arm(p->number, HEAP_FREED, session.count_heap);
    snprintf(p->doing, sizeof p->doing, "the puppet");
    current = p;
    return p;
}

/* ---- the current puppet, and CPUs ------------------------------------------ */

void puppet_use(struct puppet *p)
{
    current = p;
}

struct puppet *puppet_current(void)
{
    return current;
}

struct puppet *current_or_new(void)
{
    return current ? current : puppet_start();
}

pid_t puppet_pid(const struct puppet *p)
{
    return p->pid;
}

void puppet_expect_idle(const struct puppet *p, const char *caller)
{
    if (p->busy)
        testkit_broken("%s: the puppet is still in %s", caller, p->doing);
}

void puppets_use_all_cpus(void)
{
    session.cpu = -1;
    sched_setaffinity(0, sizeof session.cpus, &session.cpus);
}
