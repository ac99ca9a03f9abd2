/* Design: SIGCHLD is blocked and read from a signalfd.  After each read, all
 * stages are checked by waitpid with WNOHANG, because a single SIGCHLD may stand
 * for several children.
 */
#define _GNU_SOURCE
#include "pipeline.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

struct run {
    const struct pipeline_stage *stages;
    size_t nstages;
    int in_fd;
    int out_fd;
    pid_t *pids;
    size_t nstarted;
};

/* Returns a close-on-exec copy of fd at 3 or above; closes fd. */
static int moved_above_2(int fd)
{
    int copy = fcntl(fd, F_DUPFD_CLOEXEC, 3);
    int error = errno;

    close(fd);
    errno = error;
    return copy;
}

static void run_stage(const struct run *run, size_t i, int input, int output)
{
    sigset_t none;
    int from = fcntl(input, F_DUPFD_CLOEXEC, 3);
    int to = fcntl(output, F_DUPFD_CLOEXEC, 3);

    if (from == -1 || to == -1 || dup2(from, 0) == -1 || dup2(to, 1) == -1)
        _exit(126);
    if (run->in_fd > 2)
        close(run->in_fd);
    if (run->out_fd > 2)
        close(run->out_fd);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGPIPE, SIG_DFL);
    execvp(run->stages[i].argv[0], run->stages[i].argv);
    _exit(errno == ENOENT ? 127 : 126);
}

/* Returns 0 or an error number. */
static int start_all(struct run *run)
{
    int input = run->in_fd;
    int error = 0;

    while (error == 0 && run->nstarted < run->nstages) {
        int ends[2] = {-1, run->out_fd};

        if (run->nstarted + 1 < run->nstages) {
            if (pipe2(ends, O_CLOEXEC) == -1) {
                error = errno;
                break;
            }
            for (int k = 0; k < 2; k++)
                if ((ends[k] = moved_above_2(ends[k])) == -1)
                    error = errno;
        }

        pid_t pid = error == 0 ? fork() : 0;

        if (error == 0 && pid == 0)
            run_stage(run, run->nstarted, input, ends[1]);
        if (pid == -1)
            error = errno;
        if (ends[1] != -1 && ends[1] != run->out_fd)
            close(ends[1]);
        if (input != run->in_fd)
            close(input);
        input = ends[0] == -1 ? run->in_fd : ends[0];
        if (error == 0)
            run->pids[run->nstarted++] = pid;
    }
    if (input != run->in_fd)
        close(input);
    return error;
}

/* Waits for all stages that were started. */
static void reap_all(const struct run *run, int signal_fd, int status[])
{
    for (size_t left = run->nstarted; left > 0;) {
        struct signalfd_siginfo info;

        for (size_t i = 0; i < run->nstarted; i++) {
            int wstatus;

            if (status[i] == -1 && waitpid(run->pids[i], &wstatus, WNOHANG) == run->pids[i]) {
                status[i] = wstatus;
                left--;
            }
        }
        while (left > 0 && read(signal_fd, &info, sizeof info) == -1 && errno == EINTR)
            continue;
    }
}

int pipeline_run(const struct pipeline_stage *stages, size_t nstages, int in_fd, int out_fd,
                 int status[])
{
    struct run run = {stages, nstages, in_fd, out_fd, NULL, 0};

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

    sigset_t sigchld, before;
    int error = 0;

    sigemptyset(&sigchld);
    sigaddset(&sigchld, SIGCHLD);
    sigprocmask(SIG_BLOCK, &sigchld, &before);

    int signal_fd = signalfd(-1, &sigchld, SFD_CLOEXEC);

    if (signal_fd == -1 || (signal_fd = moved_above_2(signal_fd)) == -1 ||
        (run.pids = malloc(nstages * sizeof run.pids[0])) == NULL)
        error = errno;
    else
        error = start_all(&run);
    if (error != 0)
        for (size_t i = 0; i < run.nstarted; i++)
            kill(run.pids[i], SIGKILL);
    reap_all(&run, signal_fd, status);

    if (signal_fd != -1)
        close(signal_fd);
    free(run.pids);
    sigprocmask(SIG_SETMASK, &before, NULL);
    errno = error;
    return error == 0 ? 0 : -1;
}
