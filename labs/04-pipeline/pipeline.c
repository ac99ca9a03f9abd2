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
