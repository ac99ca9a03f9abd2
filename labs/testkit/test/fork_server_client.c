/* fork_server_client.c - the test's end of the fork server
 * (fork_server_client.h).  When labkit grades, it starts the fork server in a
 * sandbox and passes on the socket; otherwise this file starts it.
 *
 * Partner: puppet/fork_server.c.
 */
#include "fork_server_client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "clock.h"
#include "control.h"
#include "failure.h"
#include "nonce.h"
#include "session.h"
#include "shared/channel.h"
#include "shared/exit_status.h"
#include "shared/tree.h"
#include "support.h"
#include "testkit.h"

enum { MAX_ARGUMENTS = 64, REPLY_SECONDS = 30, END_MS = 1000 };

/* With --wrap, a program that runs the fork server (gdb, valgrind) comes first;
 * its arguments are separated by spaces. */
__attribute__((noreturn)) static void exec_fork_server(int fd)
{
    char *argv[MAX_ARGUMENTS + 8];
    char number[16];
    size_t n = 0;

    if (session.wrap)
        for (char *argument = strtok(strdup(session.wrap), " "); argument && n < MAX_ARGUMENTS;
             argument = strtok(NULL, " "))
            argv[n++] = argument;
    snprintf(number, sizeof number, "%d", fd);
    argv[n++] = (char *)session.puppet_path;
    argv[n++] = "--fork-server";
    argv[n++] = number;
    argv[n++] = "--submission";
    argv[n++] = (char *)session.submission_path;
    if (session.wrap)
        argv[n++] = "--debug";
    argv[n] = NULL;
    execvp(argv[0], argv);
    testkit_broken("cannot execute %s: %s", argv[0], strerror(errno));
}

static void start_own(void)
{
    int ends[2];

    if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) < 0)
        testkit_broken("socketpair: %s", strerror(errno));
    session.own_fork_server = true;
    session.fork_server_pid = fork();
    if (session.fork_server_pid < 0)
        testkit_broken("fork: %s", strerror(errno));
    if (session.fork_server_pid == 0) {
        close(ends[0]);
        signal(SIGPIPE, SIG_DFL);
        exec_fork_server(ends[1]);
    }
    close(ends[1]);
    session.fork_server = ends[0];
}

void fork_server_close(void)
{
    if (session.fork_server < 0)
        return;
    close(session.fork_server);
    session.fork_server = -1;
    session.sandbox = 0;
    if (session.own_fork_server && session.fork_server_pid > 0)
        waitpid(session.fork_server_pid, NULL, 0);
    session.fork_server_pid = 0;
    if (session.own_fork_server && session.folder[0] != '\0')
        tree_remove(session.folder); /* the fork server did, unless it was killed */
    session.folder[0] = '\0';
}

/* "its fork server was killed by SIGKILL".  Where labkit started it, only labkit
 * knows its wait status. */
static const char *how_it_ended(void)
{
    static char text[128];
    struct pollfd end = {.fd = -1, .events = POLLIN};
    int status;

    if (!session.own_fork_server || session.fork_server_pid <= 0)
        return "its fork server has ended";
    end.fd = syscall(SYS_pidfd_open, session.fork_server_pid, 0);
    poll(&end, 1, END_MS);
    close(end.fd);
    if (waitpid(session.fork_server_pid, &status, WNOHANG) != session.fork_server_pid)
        return "its fork server has closed the connection";
    session.fork_server_pid = 0;
    snprintf(text, sizeof text, "its fork server %s", status_text(status));
    return text;
}

/* Before student code has run, a sandbox that fails is a grader error.
 * Afterwards the submission may have blocked or ended it; where labkit started
 * the sandbox, labkit finds that out. */
__attribute__((noreturn)) static void fail_for_sandbox(const char *how)
{
    if (!session.calls_begun)
        testkit_broken("the sandbox did not work: %s", how);
    if (!session.own_fork_server) {
        fprintf(stderr, "the sandbox has failed: %s\n", how);
        _exit(STATUS_SANDBOX_ENDED);
    }
    if (session.fork_server_pid > 0)
        kill(session.fork_server_pid, SIGKILL);
    fork_server_close();
    test_fail("the sandbox in which the submission ran has failed: %s", how);
}

/* Sends a request; returns the size of the reply: a frame, or text where fd is
 * NULL. */
static ssize_t exchange(const struct frame *request, int give_fd, void *reply, size_t size, int *fd)
{
    ssize_t n;

    if (session.fork_server < 0 && !session.puppet_path)
        test_fail("an earlier test ended the sandbox in which the submission ran");
    if (session.fork_server < 0)
        fork_server_open();
    if (channel_send(session.fork_server, request, give_fd) < 0)
        fail_for_sandbox(how_it_ended());
    n = fd ? channel_receive(session.fork_server, reply, fd)
           : recv(session.fork_server, reply, size, 0);
    if (n == 0 || (n < 0 && errno == ECONNRESET))
        fail_for_sandbox(how_it_ended());
    if (n < 0)
        fail_for_sandbox(errno == EAGAIN ? "its fork server does not reply" : strerror(errno));
    return n;
}

bool fork_server_request(struct frame *request, int give_fd, struct frame *reply, int *fd)
{
    request->nonce = nonce_new();
    if (exchange(request, give_fd, reply, sizeof *reply, fd) != sizeof *reply ||
        reply->nonce != request->nonce)
        testkit_broken("the fork server and the test do not agree on the frames: "
                       "were they built from the same kit?");
    return reply->kind != FRAME_FAILED;
}

void fork_server_open(void)
{
    struct timeval wait = {.tv_sec = scaled_limit(REPLY_SECONDS)};
    struct frame control = {.kind = FRAME_CONTROL}, reply;
    int fd;

    if (session.fork_server < 0)
        start_own();
    fcntl(session.fork_server, F_SETFD, FD_CLOEXEC);
    setsockopt(session.fork_server, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
    if (!fork_server_request(&control, control_fd(), &reply, &fd))
        testkit_broken("the sandbox cannot map the control page: %s", strerror(reply.error));
}

uint64_t fork_server_ask(enum frame_kind kind, pid_t sandbox_pid)
{
    struct frame request = {.kind = kind, .words = {sandbox_pid}}, reply;
    int fd;

    if (!fork_server_request(&request, -1, &reply, &fd))
        sandbox_spoiled("a puppet cannot be traced there: %s", strerror(reply.error));
    return reply.words[0];
}

void fork_server_sweep(void)
{
    struct frame request = {.kind = FRAME_SWEEP, .words = {!session.shared}}, reply;
    int fd;

    if (session.fork_server >= 0)
        fork_server_request(&request, -1, &reply, &fd);
    session.folder[0] = '\0';
}

char *fork_server_objects(const char *mark)
{
    static char text[OBJECTS_BYTES];
    struct frame request = {.kind = FRAME_OBJECTS};
    ssize_t n;

    snprintf(request.text, sizeof request.text, "%s", mark);
    n = exchange(&request, -1, text, sizeof text - 1, NULL);

    text[n] = '\0';
    return text;
}
