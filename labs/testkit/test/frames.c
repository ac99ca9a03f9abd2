/* frames.c - one request to a puppet and its reply (frames.h).
 *
 * Theory of operation.  A request is one frame, its reply another.  The reply
 * must have the right size, repeat the request's nonce and come from the
 * puppet's own pid, as the kernel says; anything else fails the test.  Each
 * time LOOK_MS have passed without a reply, whatever else has come (serve.c), the
 * test checks whether the puppet is still alive and whether it hangs: it used up
 * its CPU time, or nothing in the sandbox can run any more.
 *
 * Partner: puppet/requests.c, the other end.
 */
#include "frames.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arena.h"
#include "clock.h"
#include "failure.h"
#include "nonce.h"
#include "fork_server_client.h"
#include "overwrite.h"
#include "progress.h"
#include "serve.h"
#include "shared/channel.h"
#include "support.h"

enum { CALL_CPU_SECONDS = 5, MAX_SECONDS = 120 };

void describe_call(char *text, size_t size, const char *function, size_t nargs,
                   const uint64_t args[])
{
    text[0] = '\0';
    text_add(text, size, "%s(", function);
    for (size_t i = 0; i < nargs; i++) {
        char word[64];

        arena_describe(args[i], word, sizeof word);
        text_add(text, size, "%s%s", i ? ", " : "", word);
    }
    text_add(text, size, ")");
}

/* ---- a puppet that ends or hangs --------------------------------------------- */

static void describe_progress(struct puppet *p)
{
    if (p->describe_progress)
        p->describe_progress(p);
}

static void describe_end(int status, char *text, size_t size)
{
    if (status == -1)
        snprintf(text, size, "another process has already reaped it");
    else if (WIFSIGNALED(status) && sigabbrev_np(WTERMSIG(status)))
        snprintf(text, size, "killed by SIG%s (%s)", sigabbrev_np(WTERMSIG(status)),
                 strsignal(WTERMSIG(status)));
    else if (WIFSIGNALED(status))
        snprintf(text, size, "killed by signal %d", WTERMSIG(status));
    else
        snprintf(text, size, "it called exit(%d)", WEXITSTATUS(status));
}

/* The socket is at its end, or the pidfd says that the process is. */
__attribute__((noreturn)) static void fail_for_end(struct puppet *p)
{
    char how[128];

    describe_progress(p);
    if (!puppet_ends_within(p, LOOK_MS * 20)) {
        kill_and_reap(p);
        test_fail("%s closed the connection to the test", p->doing);
    }
    reap(p);
    describe_end(p->status, how, sizeof how);
    test_fail("%s ended the process: %s", p->doing, how);
}

__attribute__((noreturn)) static void fail_for_hang(struct puppet *p, const char *how)
{
    describe_progress(p);
    kill_and_reap(p);
    failure_is_hang();
    test_fail("%s did not return: %s", p->doing, how);
}

/* What a test knows while it waits for a puppet. */
struct wait {
    uint64_t begun_ns, next_look_ns;
    uint64_t cpu_ns; /* the puppet's, when the wait began */
    struct progress progress;
};

/* Fails the test when the puppet hangs.  The measures are CPU time, and that
 * nothing in the sandbox runs: both are the same on a busy machine. */
static void check_for_hang(struct puppet *p, struct wait *wait)
{
    struct process_activity now;

    if (!process_activity(p->pid, &now))
        return;
    if (wait->begun_ns == 0) {
        wait->begun_ns = now_ns();
        wait->cpu_ns = now.cpu_ns;
    }
    if (now.cpu_ns > wait->cpu_ns + scaled_limit(CALL_CPU_SECONDS) * SECOND_NS)
        fail_for_hang(p, "it used up its CPU time (an endless loop?)");
    if (p->traced && fork_server_ask(FRAME_TRAPPED, p->sandbox_pid))
        fail_for_hang(p, "it accessed memory behind the end of a buffer");
    if (nothing_can_run(&wait->progress))
        fail_for_hang(p, "it is asleep or stopped, and nothing wakes it");
    if (now_ns() - wait->begun_ns > scaled_limit(MAX_SECONDS) * SECOND_NS)
        fail_for_hang(p, "it wakes again and again, and never returns");
}

/* Serves all puppets for a while, and then checks this one, if it is time. */
static void look(struct puppet *p, struct wait *wait)
{
    uint64_t now;

    serve(LOOK_MS * 1000);
    now = now_ns();
    if (wait->next_look_ns == 0)
        wait->next_look_ns = now;
    if (p->ninbox > 0 || now < wait->next_look_ns)
        return;
    wait->next_look_ns = now + LOOK_MS * 1000000;
    check_for_hang(p, wait);
}

void puppet_await_end(struct puppet *p)
{
    struct wait wait = {0};

    while (p->pidfd >= 0) {
        if (puppet_is_dead(p))
            reap(p);
        else
            look(p, &wait);
    }
}

/* ---- request and reply ------------------------------------------------------- */

void puppet_send(struct puppet *p, struct frame *request, int fd)
{
    puppet_expect_idle(p, request->text);
    if (p->pidfd < 0)
        testkit_broken("%s: the test has ended this puppet", request->text);
    if (puppet_is_dead(p)) /* between two calls, by a thread or a child of its own */
        fail_for_end(p);
    if (arena_has_traps() && !p->traced) {
        fork_server_ask(FRAME_TRACE, p->sandbox_pid);
        p->traced = true;
    }
    overwrite_results();
    request->nonce = p->nonce = nonce_new();
    p->busy = true;
    if (channel_send(p->socket, request, fd) < 0)
        fail_for_end(p);
}

/* The next message; its size is 0 when the socket is at its end. */
static struct message receive(struct puppet *p)
{
    struct wait wait = {0};

    while (p->ninbox == 0 && !p->closed) {
        look(p, &wait);
        if (p->ninbox == 0 && !p->closed && puppet_is_dead(p) && !has_reply(p))
            fail_for_end(p);
    }
    return take_message(p);
}

static void check(struct puppet *p, const struct message *m)
{
    const struct frame *reply = &m->frame;

    if (m->fd >= 0)
        close(m->fd);
    if (m->size == sizeof *reply && reply->nonce == p->nonce && m->sender != p->pid &&
        reply->kind == FRAME_CHILD_RETURNED)
        test_fail("a child process returned from %s: after fork() the child must end with exec "
                  "or _exit()",
                  p->doing);
    if (m->size != sizeof *reply || m->fd >= 0 || m->sender != p->pid || reply->nonce != p->nonce ||
        (reply->kind != FRAME_RETURNED && reply->kind != FRAME_REFUSED))
        test_fail("%s: the reply does not belong to this call", p->doing);
    if (reply->kind == FRAME_REFUSED)
        test_fail("%s: %.*s", p->doing, FRAME_TEXT_BYTES, reply->text);
}

uint64_t puppet_receive(struct puppet *p)
{
    struct message m = receive(p);

    if (m.size == 0)
        fail_for_end(p);
    p->busy = false;
    check(p, &m);
    arena_check_unused();
    arena_overwrite_inputs(p);
    errno = m.frame.error;
    return m.frame.words[0];
}

uint64_t puppet_request(struct puppet *p, struct frame *request, int fd)
{
    puppet_send(p, request, fd);
    return puppet_receive(p);
}

void puppet_receive_refusal(struct puppet *p)
{
    struct message m = receive(p);

    if (m.size != 0)
        check(p, &m);
    p->busy = false;
}
