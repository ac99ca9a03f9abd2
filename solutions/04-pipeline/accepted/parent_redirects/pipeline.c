/* Design: the parent redirects itself.  For each stage, from the last to the
 * first, it installs the stage's input and output as its own 0 and 1, forks, and
 * restores its descriptors with their close-on-exec flags; the child only closes
 * descriptors and executes the program.  Until a stage has ended, its element of
 * status[] holds its pid, so no memory is allocated.
 */
#define _GNU_SOURCE
#include "pipeline.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

/* A descriptor of the parent before its redirection. */
struct saved {
    int copy;  /* -1: there is no copy to close */
    int flags; /* -1: it was closed */
};

/* Returns a close-on-exec copy above 2. */
static int copy_above_2(int fd)
{
    return fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

/* Closes *fd unless it is -1, and sets it to -1; preserves errno. */
static void close_and_clear(int *fd)
{
    int error = errno;

    if (*fd != -1)
        close(*fd);
    *fd = -1;
    errno = error;
}

/* Makes `to` a copy of `fd`; restore() undoes it, also after a failure. */
static int redirect(int fd, int to, struct saved *saved)
{
    saved->flags = fcntl(to, F_GETFD);
    saved->copy = saved->flags == -1 ? -1 : copy_above_2(to);
    if (saved->flags != -1 && saved->copy == -1)
        return -1;
    return dup2(fd, to) == -1 ? -1 : 0;
}

static void restore(int to, struct saved *saved)
{
    int error = errno;

    if (saved->flags == -1) {
        close(to);
    } else if (saved->copy != -1) {
        while (dup2(saved->copy, to) == -1 && (errno == EINTR || errno == EBUSY))
            continue;
        fcntl(to, F_SETFD, saved->flags);
    }
    close_and_clear(&saved->copy);
    errno = error;
}

static void exec_stage(char *const argv[], int in_fd, int out_fd)
{
    sigset_t none;

    if (in_fd > 2)
        close(in_fd);
    if (out_fd > 2 && out_fd != in_fd)
        close(out_fd);
    signal(SIGPIPE, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execvp(argv[0], argv);
    _exit(errno == ENOENT ? 127 : 126);
}

static pid_t start_stage(char *const argv[], int input, int output, int in_fd, int out_fd)
{
    struct saved saved0, saved1;
    pid_t pid = -1;

    if (redirect(input, 0, &saved0) == 0) {
        if (redirect(output, 1, &saved1) == 0) {
            pid = fork();
            if (pid == 0)
                exec_stage(argv, in_fd, out_fd);
        }
        restore(1, &saved1);
    }
    restore(0, &saved0);
    return pid;
}

static int pipe_above_2(int *read_end, int *write_end)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) == -1)
        return -1;
    *read_end = copy_above_2(ends[0]);
    *write_end = *read_end == -1 ? -1 : copy_above_2(ends[1]);
    close_and_clear(&ends[0]);
    close_and_clear(&ends[1]);
    return *write_end == -1 ? -1 : 0; /* the caller closes both */
}

static int start_all(const struct pipeline_stage *stages, size_t nstages, int in_fd, int out_fd,
                     int pids[])
{
    int output = copy_above_2(out_fd);
    int input = -1;
    int next_output = -1;
    bool ok = output != -1;

    for (size_t i = nstages; ok && i-- > 0;) {
        if (i == 0)
            ok = (input = copy_above_2(in_fd)) != -1;
        else
            ok = pipe_above_2(&input, &next_output) == 0;
        if (ok)
            ok = (pids[i] = start_stage(stages[i].argv, input, output, in_fd, out_fd)) != -1;
        close_and_clear(&input);
        close_and_clear(&output);
        output = next_output;
        next_output = -1;
    }
    close_and_clear(&output);
    return ok ? 0 : -1;
}

int pipeline_run(const struct pipeline_stage *stages, size_t nstages, int in_fd, int out_fd,
                 int status[])
{
    errno = EINVAL;
    if (stages == NULL || status == NULL || nstages == 0)
        return -1;
    for (size_t i = 0; i < nstages; i++)
        if (stages[i].argv == NULL || stages[i].argv[0] == NULL)
            return -1;
    if (fcntl(in_fd, F_GETFD) == -1 || fcntl(out_fd, F_GETFD) == -1)
        return -1; /* EBADF */

    for (size_t i = 0; i < nstages; i++)
        status[i] = -1;

    int result = start_all(stages, nstages, in_fd, out_fd, status);
    int error = errno;

    for (size_t i = 0; i < nstages; i++)
        if (result == -1 && status[i] != -1)
            kill(status[i], SIGKILL);
    for (size_t i = 0; i < nstages; i++) {
        pid_t pid = status[i];

        while (pid != -1 && waitpid(pid, &status[i], 0) == -1 && errno == EINTR)
            continue;
    }
    errno = error;
    return result;
}
