/* Design: recursive.  The last stage is started first and waited for last.
 * Each level of the recursion makes one pipe and one child; before it returns,
 * it closes the one and waits for the other.
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

struct context {
    const struct pipeline_stage *stages;
    int in_fd;
    int out_fd;
    int *status;
};

static int move_above_2(int fd)
{
    int moved = fd > 2 ? fd : fcntl(fd, F_DUPFD, 3);

    if (moved != fd)
        close(fd);
    if (moved != -1)
        fcntl(moved, F_SETFD, FD_CLOEXEC);
    return moved;
}

static void child(const struct context *context, size_t i, int input, int output)
{
    int ends[2] = {input, output};
    sigset_t empty;

    for (int k = 0; k < 2; k++) {
        /* copies first: the two may be crossed, or in place and close-on-exec */
        ends[k] = fcntl(ends[k], F_DUPFD_CLOEXEC, 3);
        if (ends[k] == -1)
            _exit(126);
    }
    for (int k = 0; k < 2; k++)
        if (dup2(ends[k], k) != k)
            _exit(126);
    if (context->in_fd > 2)
        fcntl(context->in_fd, F_SETFD, FD_CLOEXEC);
    if (context->out_fd > 2)
        fcntl(context->out_fd, F_SETFD, FD_CLOEXEC);
    sigemptyset(&empty);
    sigprocmask(SIG_SETMASK, &empty, NULL);
    signal(SIGPIPE, SIG_DFL);
    execvp(context->stages[i].argv[0], context->stages[i].argv);
    _exit(errno == ENOENT ? 127 : 126);
}

/* Starts stage i, which writes to `output`, and all stages before it, and waits
 * for them; closes `output` if it is a pipe.  Returns 0 or an error number. */
static int run_until(const struct context *context, size_t i, int output)
{
    int ends[2] = {context->in_fd, -1};
    int error = 0;
    pid_t pid = -1;

    if (i > 0) {
        if (pipe(ends) == -1) {
            error = errno;
            ends[0] = context->in_fd;
        } else {
            ends[0] = move_above_2(ends[0]);
            if (ends[0] == -1)
                error = errno;
            ends[1] = move_above_2(ends[1]);
            if (ends[1] == -1)
                error = errno;
        }
    }
    if (error == 0) {
        pid = fork();
        if (pid == 0)
            child(context, i, ends[0], output);
        if (pid == -1)
            error = errno;
    }
    if (output != context->out_fd)
        close(output);
    if (i > 0 && ends[0] != context->in_fd && ends[0] != -1)
        close(ends[0]);

    if (error != 0) {
        if (ends[1] != -1)
            close(ends[1]);
    } else if (i > 0) {
        error = run_until(context, i - 1, ends[1]);
    }
    if (pid != -1) {
        if (error != 0)
            kill(pid, SIGKILL);
        while (waitpid(pid, &context->status[i], 0) == -1)
            if (errno != EINTR)
                return errno;
    }
    return error;
}

int pipeline_run(const struct pipeline_stage *stages, size_t nstages, int in_fd, int out_fd,
                 int status[])
{
    struct context context = {stages, in_fd, out_fd, status};

    errno = EINVAL;
    if (!stages || !nstages || !status)
        return -1;
    for (size_t i = 0; i < nstages; i++)
        if (!stages[i].argv || !stages[i].argv[0])
            return -1;
    if (fcntl(in_fd, F_GETFD) < 0 || fcntl(out_fd, F_GETFD) < 0)
        return -1; /* EBADF */

    for (size_t i = 0; i < nstages; i++)
        status[i] = -1;
    errno = run_until(&context, nstages - 1, out_fd);
    return errno == 0 ? 0 : -1;
}
