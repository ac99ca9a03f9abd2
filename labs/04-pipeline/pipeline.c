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
