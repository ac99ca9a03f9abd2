/* Design: as in textbooks.  All pipes are made first, then all stages are
 * forked.  No descriptor is close-on-exec; instead, each child closes all pipe
 * ends itself.  Stages are waited for from the last one to the first.
 */
#define _GNU_SOURCE
#include "pipeline.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

/* The state of one call of pipeline_run. */
struct run {
    const struct pipeline_stage *stages;
    size_t nstages;
    int in_fd;
    int out_fd;
    int (*pipes)[2]; /* pipes[i] connects stages i and i + 1 */
    size_t npipes;
    pid_t *pids;
    size_t nstarted;
};

static int fail(int error)
{
    errno = error;
    return -1;
}

static void close_pipes(const struct run *run)
{
    for (size_t i = 0; i < run->npipes; i++) {
        close(run->pipes[i][0]);
        close(run->pipes[i][1]);
    }
}

/* pipe(2) may return 0, 1 or 2 when these are closed in the caller.  Each such
 * end is duplicated until a copy is above 2; then the low ones are closed. */
static int pipe_above_2(int ends[2])
{
    int low[8];
    int nlow = 0;
    int error = 0;
    int made[2];

    if (pipe(made) == -1)
        return -1;
    for (int i = 0; i < 2; i++) {
        ends[i] = made[i];
        while (ends[i] >= 0 && ends[i] <= 2) {
            low[nlow++] = ends[i];
            ends[i] = dup(ends[i]);
            if (ends[i] == -1)
                error = errno;
        }
    }
    while (nlow > 0)
        close(low[--nlow]);
    if (error != 0) {
        for (int i = 0; i < 2; i++)
            if (ends[i] != -1)
                close(ends[i]);
        return fail(error);
    }
    return 0;
}

static int make_pipes(struct run *run)
{
    while (run->npipes < run->nstages - 1) {
        if (pipe_above_2(run->pipes[run->npipes]) == -1)
            return -1;
        run->npipes++;
    }
    return 0;
}

static void exec_stage(const struct run *run, size_t i)
{
    int from = i == 0 ? run->in_fd : run->pipes[i - 1][0];
    int to = i == run->nstages - 1 ? run->out_fd : run->pipes[i][1];
    sigset_t none;

    /* copies at 10 or above, so that no dup2 overwrites a source */
    int from_copy = fcntl(from, F_DUPFD, 10);
    int to_copy = fcntl(to, F_DUPFD, 10);

    if (from_copy == -1 || to_copy == -1)
        _exit(126);
    if (dup2(from_copy, STDIN_FILENO) == -1 || dup2(to_copy, STDOUT_FILENO) == -1)
        _exit(126);
    close(from_copy);
    close(to_copy);
    close_pipes(run);
    if (run->in_fd > 2)
        close(run->in_fd);
    if (run->out_fd > 2)
        close(run->out_fd);

    sigemptyset(&none);
    signal(SIGPIPE, SIG_DFL);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execvp(run->stages[i].argv[0], run->stages[i].argv);
    _exit(errno == ENOENT ? 127 : 126);
}

static int start_stages(struct run *run)
{
    for (size_t i = 0; i < run->nstages; i++) {
        pid_t pid = fork();

        if (pid == -1)
            return -1;
        if (pid == 0)
            exec_stage(run, i);
        run->pids[i] = pid;
        run->nstarted++;
    }
    return 0;
}

static int run_all(struct run *run, int status[])
{
    int error = 0;

    if (make_pipes(run) == -1 || start_stages(run) == -1)
        error = errno;
    close_pipes(run);
    for (size_t i = run->nstarted; i-- > 0;) {
        if (error != 0)
            kill(run->pids[i], SIGKILL);
        while (waitpid(run->pids[i], &status[i], 0) == -1 && errno == EINTR)
            continue;
    }
    return error == 0 ? 0 : fail(error);
}

int pipeline_run(const struct pipeline_stage *stages, size_t nstages, int in_fd, int out_fd,
                 int status[])
{
    if (stages == NULL || nstages == 0 || status == NULL)
        return fail(EINVAL);
    for (size_t i = 0; i < nstages; i++)
        if (stages[i].argv == NULL || stages[i].argv[0] == NULL)
            return fail(EINVAL);
    if (fcntl(in_fd, F_GETFL) == -1 || fcntl(out_fd, F_GETFL) == -1)
        return fail(EBADF);

    struct run run = {.stages = stages, .nstages = nstages, .in_fd = in_fd, .out_fd = out_fd};
    int result = -1;

    for (size_t i = 0; i < nstages; i++)
        status[i] = -1;
    run.pipes = malloc(nstages * sizeof run.pipes[0]);
    run.pids = malloc(nstages * sizeof run.pids[0]);
    if (run.pipes != NULL && run.pids != NULL)
        result = run_all(&run, status);

    int error = errno;

    free(run.pipes);
    free(run.pids);
    errno = error;
    return result;
}
