/* pipeline.c - pipeline_run: starts stages by fork and exec and connects them
 * by pipes.  The contract is pipeline.h; main.c is the program that uses it.
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
 * Stages are started from left to right.  Between two of them the parent has a
 * single pipe end open: the read end for the next stage (`input`).  While it
 * starts a stage, it also has both ends of that stage's output pipe (`ends`).
 * All of them are close-on-exec, so that no program inherits them, and above
 * 2, so that dup2 onto 0 or 1 cannot overwrite them, even when the caller's 0,
 * 1 or 2 is closed and pipe returns that number.
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
/* Closes fd unless it is -1.  Preserves errno, because error paths call it. */
static void close_quietly(int fd)
{
    int saved = errno;

    if (fd != -1)
        close(fd);
    errno = saved;
}

/* Returns fd if it is above 2; otherwise a copy above 2, or -1 with errno, and
 * fd is closed. */
static int above_standard(int fd)
{
    if (fd > STDERR_FILENO)
        return fd;

    int moved = fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);

    close_quietly(fd);
    return moved;
}

/* Makes a pipe whose ends are close-on-exec and above 2.  Returns 0, or -1 with
 * errno. */
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

/* Makes `to` a copy of `from` that stays open when a program is executed. */
static int install(int from, int to)
{
    if (from != to)
        return dup2(from, to) == -1 ? -1 : 0;
    /* dup2(fd, fd) does nothing: close-on-exec would stay set */
    return fcntl(to, F_SETFD, 0);
}

/* Redirects standard input and standard output. */
static int redirect(int input, int output)
{
    if (output == STDIN_FILENO) { /* or the first install() would overwrite it */
        output = fcntl(output, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
        if (output == -1)
            return -1;
    }
    if (install(input, STDIN_FILENO) == -1 || install(output, STDOUT_FILENO) == -1)
        return -1;
    return 0;
}

/* In the child: sets up descriptors and signals and executes the stage's
 * program.  After a failure the child ends with _exit, because exit would write
 * the parent's stdio buffers a second time. */
static void exec_stage(const struct pipeline_stage *stage, int input, int output, int in_fd,
                       int out_fd)
{
    sigset_t none;

    if (redirect(input, output) == -1)
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
    int wstatus;

    while (waitpid(pid, &wstatus, 0) == -1)
        if (errno != EINTR)
            return -1;
    return wstatus;
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
            exec_stage(&stages[started], input, last ? out_fd : ends[1], in_fd, out_fd);
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
 * Add what is missing in this order: redirection of in_fd and out_fd; a second
 * stage and the pipe between the two; any number of stages, all of them started
 * before the first one is waited for; closing the descriptors that neither the
 * parent nor a stage may keep; signals; undoing everything when fork or pipe
 * fails.
 *
 * A reader gets end-of-file when the last write end of its pipe is closed, in
 * whatever process; a writer gets SIGPIPE when the last read end is closed.  So
 * a pipeline that hangs usually has an end open in one process too many.
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
