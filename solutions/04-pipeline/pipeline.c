/* pipeline.c - stages by fork and exec, pipes between them (see pipeline.h).
 *
 * Partner: main.c, the program.
 */
#define _GNU_SOURCE
#include "pipeline.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef SOLUTION

/* Theory of operation
 *
 * Stages start from left to right.  At any time the parent holds at most one
 * pipe: the read end for the next stage (`input`) and, while a stage is being
 * started, that stage's write end.  Both are close-on-exec and lie above 2,
 * so that no exec lets them through and no dup2 onto 0 or 1 can hit them,
 * even when the caller came with 0, 1 or 2 closed.
 */
#endif

enum { EXIT_CANNOT_EXEC = 126, EXIT_NOT_FOUND = 127 };

static bool is_open(int fd)
{
    return fcntl(fd, F_GETFD) != -1;
}

static bool arguments_valid(const struct pipeline_stage *stages, size_t nstages, const int *status)
{
    if (stages == NULL || status == NULL || nstages == 0)
        return false;
    for (size_t i = 0; i < nstages; i++)
        if (stages[i].argv == NULL || stages[i].argv[0] == NULL)
            return false;
    return true;
}

#ifdef SOLUTION
/* Closes unless it is -1; keeps errno, for it runs on the way out of errors. */
static void close_quietly(int fd)
{
    int saved = errno;

    if (fd != -1)
        close(fd);
    errno = saved;
}

/* Moves a descriptor of ours above 2; -1 with errno, and it is closed then. */
static int above_standard(int fd)
{
    if (fd > STDERR_FILENO)
        return fd;

    int moved = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);

    close_quietly(fd);
    return moved;
}

/* A pipe whose ends are close-on-exec and above 2. */
static int private_pipe(int ends[2])
{
    if (pipe2(ends, O_CLOEXEC) == -1)
        return -1;
    ends[0] = above_standard(ends[0]);
    ends[1] = above_standard(ends[1]);
    if (ends[0] == -1 || ends[1] == -1) {
        close_quietly(ends[0]);
        close_quietly(ends[1]);
        return -1;
    }
    return 0;
}

/* Makes `from` the descriptor `to` of the program to come. */
static int install(int from, int to)
{
    if (from != to)
        return dup2(from, to) == -1 ? -1 : 0;
    /* dup2 onto itself does nothing, close-on-exec would stay set */
    return fcntl(to, F_SETFD, 0);
}

static int wire(int input, int output)
{
    if (output == STDIN_FILENO) { /* about to be overwritten */
        output = fcntl(output, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        if (output == -1)
            return -1;
    }
    if (install(input, STDIN_FILENO) == -1 || install(output, STDOUT_FILENO) == -1)
        return -1;
    return 0;
}

/* In the child: becomes the stage.  Leaves by _exit at the latest, since exit
 * would write the parent's stdio buffers a second time. */
static void become(const struct pipeline_stage *stage, int input, int output, int in_fd, int out_fd)
{
    sigset_t none;

    if (wire(input, output) == -1)
        _exit(EXIT_CANNOT_EXEC);
    if (in_fd > STDERR_FILENO)
        close(in_fd);
    if (out_fd > STDERR_FILENO && out_fd != in_fd)
        close(out_fd);

    signal(SIGPIPE, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);

    execvp(stage->argv[0], stage->argv);

    int error = errno;

    dprintf(STDERR_FILENO, "%s: %s\n", stage->argv[0], strerror(error));
    _exit(error == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_EXEC);
}

static int wait_for(pid_t pid)
{
    int word;

    while (waitpid(pid, &word, 0) == -1)
        if (errno != EINTR)
            return -1;
    return word;
}

int pipeline_run(const struct pipeline_stage *stages, size_t nstages, int in_fd, int out_fd,
                 int status[])
{
    int input = in_fd;
    int error = 0;
    size_t started = 0;

    if (!arguments_valid(stages, nstages, status)) {
        errno = EINVAL;
        return -1;
    }
    if (!is_open(in_fd) || !is_open(out_fd)) {
        errno = EBADF;
        return -1;
    }

    pid_t *pids = calloc(nstages, sizeof pids[0]);

    for (size_t i = 0; i < nstages; i++)
        status[i] = -1;
    if (pids == NULL)
        return -1;

    for (; started < nstages; started++) {
        int ends[2] = {-1, -1};
        bool last = started == nstages - 1;

        if (!last && private_pipe(ends) == -1) {
            error = errno;
            break;
        }
        pids[started] = fork();
        if (pids[started] == 0)
            become(&stages[started], input, last ? out_fd : ends[1], in_fd, out_fd);
        if (pids[started] == -1)
            error = errno;
        close_quietly(ends[1]);
        if (input != in_fd)
            close_quietly(input);
        input = last ? in_fd : ends[0];
        if (error != 0)
            break;
    }

    if (input != in_fd)
        close_quietly(input);
    if (error != 0)
        for (size_t i = 0; i < started; i++)
            kill(pids[i], SIGKILL);
    for (size_t i = 0; i < started; i++)
        status[i] = wait_for(pids[i]);

    free(pids);
    errno = error;
    return error == 0 ? 0 : -1;
}
#else
/* TODO(04-pipeline): this starts one stage and never makes a pipe.
 *
 * What is missing, in the order in which it is best built: in_fd and out_fd;
 * a second stage and the pipe between; any number of stages, all of them
 * started before the first one is waited for; the descriptors that neither
 * parent nor stage may keep; signals; failures of fork and pipe, undone.
 */
int pipeline_run(const struct pipeline_stage *stages, size_t nstages, int in_fd, int out_fd,
                 int status[])
{
    if (!arguments_valid(stages, nstages, status)) {
        errno = EINVAL;
        return -1;
    }
    if (!is_open(in_fd) || !is_open(out_fd)) {
        errno = EBADF;
        return -1;
    }
    if (nstages > 1) {
        errno = ENOSYS;
        return -1;
    }

    pid_t pid = fork();

    if (pid == 0) {
        execvp(stages[0].argv[0], stages[0].argv);
        _exit(errno == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_EXEC);
    }
    if (pid == -1 || waitpid(pid, &status[0], 0) == -1)
        return -1;
    return 0;
}
#endif
