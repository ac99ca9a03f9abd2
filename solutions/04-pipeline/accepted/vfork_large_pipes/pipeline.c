/* Design: for speed.  vfork copies no page tables, unlike fork, and pipes of
 * 1 MiB instead of 64 KiB mean fewer context switches between writer and reader.
 * The benchmark includes this version.
 *
 * A child of vfork runs in the parent's memory until exec, so no signal handler
 * of the caller may run in it: all signals are blocked around vfork, and the
 * child resets those with handlers to default before it unblocks them.
 */
#define _GNU_SOURCE
#include "pipeline.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

enum { PIPE_BYTES = 1 << 20, NSIGNALS = 32 };

struct start {
    char *const *argv;
    int input;
    int output;
    int in_fd;
    int out_fd;
    unsigned caught; /* bit n - 1: signal n has a handler */
};

static unsigned caught_signals(void)
{
    unsigned caught = 0;

    for (int n = 1; n < NSIGNALS; n++) {
        struct sigaction action;

        if (sigaction(n, NULL, &action) == 0 && action.sa_handler != SIG_DFL &&
            action.sa_handler != SIG_IGN)
            caught |= 1u << (n - 1);
    }
    return caught;
}

static bool install(int fd, int to)
{
    return fd == to ? fcntl(fd, F_SETFD, 0) == 0 : dup2(fd, to) == to;
}

__attribute__((noreturn)) static void start_child(const struct start *start)
{
    struct sigaction standard = {.sa_handler = SIG_DFL};
    int output = start->output == 0 ? fcntl(0, F_DUPFD_CLOEXEC, 3) : start->output;
    sigset_t none;

    if (output == -1 || !install(start->input, 0) || !install(output, 1))
        _exit(126);
    if (start->in_fd > 2)
        close(start->in_fd);
    if (start->out_fd > 2)
        close(start->out_fd);
    for (int n = 1; n < NSIGNALS; n++)
        if (start->caught >> (n - 1) & 1)
            sigaction(n, &standard, NULL);
    sigaction(SIGPIPE, &standard, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execvp(start->argv[0], start->argv);
    _exit(errno == ENOENT ? 127 : 126);
}

static pid_t spawn(const struct start *start)
{
    sigset_t all, before;
    pid_t pid;

    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, &before);
    pid = vfork();
    if (pid == 0)
        start_child(start);

    int error = errno;

    sigprocmask(SIG_SETMASK, &before, NULL);
    errno = error;
    return pid;
}

static int large_pipe(int ends[2])
{
    if (pipe2(ends, O_CLOEXEC) == -1)
        return -1;
    for (int k = 0; k < 2; k++)
        if (ends[k] <= 2) {
            int high = fcntl(ends[k], F_DUPFD_CLOEXEC, 3);
            int error = errno;

            close(ends[k]);
            ends[k] = high;
            if (high == -1) {
                close(ends[1 - k]);
                errno = error;
                return -1;
            }
        }
    fcntl(ends[1], F_SETPIPE_SZ, PIPE_BYTES); /* if this fails, a smaller pipe will do */
    return 0;
}

int pipeline_run(const struct pipeline_stage *stages, size_t nstages, int in_fd, int out_fd,
                 int status[])
{
    pid_t few[16];
    pid_t *pids = few;
    size_t started = 0;
    int error = 0;

    if (stages == NULL || status == NULL || nstages == 0)
        error = EINVAL;
    for (size_t i = 0; error == 0 && i < nstages; i++)
        if (stages[i].argv == NULL || stages[i].argv[0] == NULL)
            error = EINVAL;
    if (error == 0 && (fcntl(in_fd, F_GETFD) == -1 || fcntl(out_fd, F_GETFD) == -1))
        error = EBADF;
    if (error == 0 && nstages > sizeof few / sizeof few[0] &&
        (pids = malloc(nstages * sizeof pids[0])) == NULL)
        error = ENOMEM;
    if (error != 0) {
        errno = error;
        return -1;
    }

    struct start start = {
        .input = in_fd, .in_fd = in_fd, .out_fd = out_fd, .caught = caught_signals()};

    for (size_t i = 0; i < nstages; i++)
        status[i] = -1;
    for (size_t i = 0; i < nstages && error == 0; i++) {
        int ends[2] = {in_fd, out_fd};

        if (i + 1 < nstages && large_pipe(ends) == -1) {
            error = errno;
            break;
        }
        start.argv = stages[i].argv;
        start.output = ends[1];
        pids[i] = spawn(&start);
        if (pids[i] == -1)
            error = errno;
        else
            started++;
        if (ends[1] != out_fd)
            close(ends[1]);
        if (start.input != in_fd)
            close(start.input);
        start.input = ends[0];
    }
    if (start.input != in_fd)
        close(start.input);
    for (size_t i = 0; error != 0 && i < started; i++)
        kill(pids[i], SIGKILL);
    for (size_t i = 0; i < started; i++)
        while (waitpid(pids[i], &status[i], 0) == -1 && errno == EINTR)
            continue;
    if (pids != few)
        free(pids);
    errno = error;
    return error == 0 ? 0 : -1;
}
