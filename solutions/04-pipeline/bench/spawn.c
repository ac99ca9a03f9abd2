/* spawn.c - pipeline_run made with posix_spawn, which the C library offers
 * instead of fork and exec; for comparison in the benchmark.  It does not fulfil
 * what the contract says about failures and unusual descriptors.
 */
#define _GNU_SOURCE
#include "pipeline.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { MAX_STAGES = 64 };

static int start(pid_t *pid, char *const *argv, int input, int output)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t set;

    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, input, 0);
    posix_spawn_file_actions_adddup2(&actions, output, 1);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    sigemptyset(&set);
    posix_spawnattr_setsigmask(&attributes, &set);
    sigaddset(&set, SIGPIPE);
    posix_spawnattr_setsigdefault(&attributes, &set);

    int error = posix_spawnp(pid, argv[0], &actions, &attributes, argv, environ);

    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    return error;
}

int pipeline_run(const struct pipeline_stage *stages, size_t nstages, int in_fd, int out_fd,
                 int status[])
{
    pid_t pids[MAX_STAGES];
    int input = in_fd;

    if (nstages > MAX_STAGES) {
        errno = EINVAL;
        return -1;
    }
    for (size_t i = 0; i < nstages; i++) {
        int ends[2] = {in_fd, out_fd};

        if (i < nstages - 1 && pipe2(ends, O_CLOEXEC) == -1)
            return -1;

        int error = start(&pids[i], stages[i].argv, input, ends[1]);

        if (error != 0) {
            pids[i] = -1;
            status[i] = W_EXITCODE(error == ENOENT ? 127 : 126, 0);
        }
        if (input != in_fd)
            close(input);
        if (ends[1] != out_fd)
            close(ends[1]);
        input = ends[0];
    }
    for (size_t i = 0; i < nstages; i++)
        if (pids[i] != -1)
            while (waitpid(pids[i], &status[i], 0) == -1)
                if (errno != EINTR)
                    return -1;
    return 0;
}
