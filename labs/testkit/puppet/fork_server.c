/* fork_server.c - the first process of a sandbox, which never loads student
 * code (fork_server.h).
 *
 * Theory of operation.  The test process (test/fork_server_client.c) has the
 * other end of its socket.  On FRAME_START the fork server makes a socket pair,
 * forks a puppet that keeps one end (requests.c), and sends the other end back.
 * So all puppets share the sandbox's namespaces, and the fork server can wait
 * for each of them, stop them at trap pages (trap.c), list the objects they left
 * (objects.c), and kill every process that descends from it.  It maps the control
 * page, which puppets inherit, and opens files and message queues for the test
 * (folder.c).
 */
#include "fork_server.h"

#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "folder.h"
#include "objects.h"
#include "requests.h"
#include "shared/channel.h"
#include "shared/process.h"
#include "trap.h"
#include "valgrind_log.h"

enum { WAIT_MS = 10000, MAX_CHILDREN = 64 };

static struct fork_server server;
static int children_fd;           /* readable when a child has stopped or ended */
static sigset_t signals_at_start; /* blocked when this process started */

/* The puppets that have not been waited for, by pid: a process that a
 * submission left behind may have any name. */
static pid_t puppets[4 * MAX_PUPPETS];
static size_t npuppets;

static void remember(pid_t pid)
{
    puppets[npuppets++ % (sizeof puppets / sizeof *puppets)] = pid;
}

static pid_t *find_puppet(pid_t pid)
{
    for (size_t i = 0; i < sizeof puppets / sizeof *puppets; i++)
        if (puppets[i] == pid)
            return &puppets[i];
    return NULL;
}

static bool is_puppet(pid_t pid)
{
    return find_puppet(pid) != NULL;
}

static void forget(pid_t pid)
{
    pid_t *known = find_puppet(pid);

    if (known)
        *known = 0;
}

static void reply(int kind, const struct frame *request, uint64_t value, int error, int fd)
{
    struct frame frame = {.kind = kind, .error = error, .nonce = request->nonce, .words = {value}};

    channel_send(server.fd, &frame, fd);
}

/* A descriptor for the test, or FRAME_FAILED with errno where it is -1. */
static void give(const struct frame *request, int fd, const char *text)
{
    struct frame frame = {.kind = fd < 0 ? FRAME_FAILED : FRAME_DONE,
                          .error = fd < 0 ? errno : 0,
                          .nonce = request->nonce};

    snprintf(frame.text, sizeof frame.text, "%s", text);
    channel_send(server.fd, &frame, fd);
    if (fd >= 0)
        close(fd);
}

/* In the new process; own_end is its end of the socket pair. */
__attribute__((noreturn)) static void become_puppet(const struct frame *request, int own_end,
                                                    int arena_fd)
{
    int test_fd;

    close(server.fd);
    close(children_fd);
    folder_leave();
    sigprocmask(SIG_SETMASK, &signals_at_start, NULL);
    test_fd = fcntl(own_end, F_DUPFD_CLOEXEC, OWN_FDS);
    close(own_end);
    if (test_fd < 0)
        _exit(1);
    if (server.log_fd >= 0) /* before a test can list the puppet's descriptors */
        close(server.log_fd);
    run_puppet(test_fd, request, arena_fd, server.submission_path);
}

static void start_puppet(const struct frame *request, int arena_fd)
{
    int ends[2] = {-1, -1};
    int on = 1;
    pid_t pid = -1;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0 &&
        setsockopt(ends[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof on) == 0)
        pid = fork();
    if (pid == 0) {
        close(ends[0]);
        become_puppet(request, ends[1], arena_fd);
    }
    if (pid > 0) {
        remember(pid);
        reply(FRAME_STARTED, request, pid, 0, ends[0]);
    } else
        reply(FRAME_FAILED, request, 0, errno, -1);
    if (ends[0] >= 0) {
        close(ends[0]);
        close(ends[1]);
    }
}

/* Waits for a puppet that is dead, or about to be.  A dead puppet that another
 * process traces cannot be waited for; that must not block the fork server. */
static pid_t wait_with_limit(pid_t pid, int *status)
{
    struct pollfd end = {.fd = syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};
    pid_t waited;

    if (end.fd < 0)
        return waitpid(pid, status, 0);
    poll(&end, 1, WAIT_MS);
    close(end.fd);
    do
        waited = waitpid(pid, status, WNOHANG);
    while (waited == pid && WIFSTOPPED(*status)); /* of a puppet that is traced */
    if (waited == 0)
        errno = ECHILD;
    return waited;
}

static void wait_for_puppet(const struct frame *request)
{
    pid_t pid = request->words[0];
    int status;

    if (wait_with_limit(pid, &status) != pid) {
        reply(FRAME_FAILED, request, 0, errno, -1);
        return;
    }
    forget(pid);
    trap_forget(pid);
    reply(FRAME_WAITED, request, status, 0, -1);
    if (WIFEXITED(status))
        log_puppet_ended(pid);
}

/* Kills every descendant of the fork server: orphans become its children, for
 * it is process 1 of its sandbox or their subreaper.  All are killed before any
 * is waited for, since one may trace another. */
static void kill_descendants(void)
{
    struct process_info children[MAX_CHILDREN];
    pid_t self = getpid();
    size_t n;

    while ((n = process_children(self, children, MAX_CHILDREN)) > 0) {
        pid_t pid;

        if (self == 1)
            kill(-1, SIGKILL);
        for (size_t i = 0; i < n; i++)
            kill(children[i].pid, SIGKILL);
        for (pid = waitpid(-1, NULL, 0); pid > 0; pid = waitpid(-1, NULL, WNOHANG)) {
            forget(pid);
            trap_forget(pid);
        }
    }
}

static void sweep(void)
{
    kill_descendants();
    folder_remove();
}

static void send_objects(const char *mark)
{
    static char text[OBJECTS_BYTES];

    list_objects(text, sizeof text, mark, getpid(), is_puppet);
    send(server.fd, text, strlen(text) + 1, MSG_NOSIGNAL);
}

/* Puppets that start later inherit the mapping. */
static void map_control(const struct frame *request, int fd)
{
    void *at =
        mmap(CONTROL_ADDRESS, sizeof(struct control), PROT_READ, MAP_SHARED | MAP_FIXED, fd, 0);

    if (at == CONTROL_ADDRESS)
        reply(FRAME_DONE, request, 0, 0, -1);
    else
        reply(FRAME_FAILED, request, 0, errno, -1);
}

static void report(const struct frame *request, int result)
{
    reply(result == 0 ? FRAME_DONE : FRAME_FAILED, request, 0, errno, -1);
}

static int open_queue(const struct frame *request)
{
    struct mq_attr attr = {.mq_maxmsg = request->words[1], .mq_msgsize = request->words[2]};

    return mq_open(request->text, request->words[0], 0600, attr.mq_maxmsg > 0 ? &attr : NULL);
}

static void serve(const struct frame *request, int fd)
{
    pid_t pid = request->words[0];

    switch (request->kind) {
    case FRAME_CONTROL:
        map_control(request, fd);
        break;
    case FRAME_START:
        start_puppet(request, fd);
        break;
    case FRAME_WAIT:
        wait_for_puppet(request);
        break;
    case FRAME_TRACE:
        report(request, trap_trace(pid));
        break;
    case FRAME_TRAPPED:
        trap_handle_stops();
        reply(FRAME_DONE, request, trap_holds(pid), 0, -1);
        break;
    case FRAME_UNTRAP:
        report(request, trap_release(pid));
        break;
    case FRAME_OBJECTS:
        send_objects(request->text);
        break;
    case FRAME_FOLDER:
        give(request, folder_make(), folder_path());
        break;
    case FRAME_CREATE:
        report(request, folder_create(request->text, request->words[0]));
        break;
    case FRAME_OPEN:
        give(request, folder_open(request->text, request->words[0]), "");
        break;
    case FRAME_QUEUE:
        give(request, open_queue(request), "");
        break;
    case FRAME_MODE:
        reply(FRAME_DONE, request,
              request->text[0] ? memory_mode(request->text) : segment_mode(request->words[0]), 0,
              -1);
        break;
    case FRAME_SWEEP:
        sweep();
        if (request->words[0])
            remove_objects();
        reply(FRAME_DONE, request, 0, 0, -1);
        break;
    }
}

static void open_children_fd(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    sigprocmask(SIG_BLOCK, &set, &signals_at_start);
    children_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

/* Ctrl-C reaches all processes of a terminal.  The test ends by it; this process
 * sees that, and sweeps. */
static void outlive_the_test(void)
{
    static const int signals[] = {SIGINT, SIGQUIT, SIGTERM, SIGHUP};
    sigset_t set;

    sigemptyset(&set);
    for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
        sigaddset(&set, signals[i]);
    sigprocmask(SIG_BLOCK, &set, NULL);
}

/* Waits for a request, and handles traced puppets that stop meanwhile. */
static void await_request(void)
{
    struct pollfd fds[] = {{.fd = server.fd, .events = POLLIN},
                           {.fd = children_fd, .events = POLLIN}};
    struct signalfd_siginfo signal;

    do {
        poll(fds, 2, -1);
        if (read(children_fd, &signal, sizeof signal) == sizeof signal)
            trap_handle_stops();
    } while (fds[0].revents == 0);
}

void fork_server_run(const struct fork_server *settings)
{
    server = *settings;
    open_children_fd();
    outlive_the_test();
    for (;;) {
        struct frame request;
        int fd;

        await_request();
        if (channel_receive(server.fd, &request, &fd) <= 0) {
            sweep();
            _exit(0);
        }
        serve(&request, fd);
        if (fd >= 0)
            close(fd);
    }
}
