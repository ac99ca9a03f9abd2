/* Design: each child waits for end-of-file on a pipe, the gate, which the parent
 * closes when all stages have been forked; only then do they execute their
 * programs.  Stages with odd numbers are forked first.  Until a stage has ended,
 * its element of status[] holds its pid, so that fork's return value is stored
 * there in parent and child.
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

/* The number of the i-th of n stages to be forked: odd ones, then even ones. */
static size_t stage_number(size_t i, size_t n)
{
    return i < n / 2 ? 2 * i + 1 : 2 * (i - n / 2);
}

struct plan {
    int (*pipes)[2]; /* nstages - 1 of them */
    size_t npipes;
    int gate[2];
    int in_fd, out_fd;
};

/* Closes all pipe ends except two. */
static void close_pipes(const struct plan *plan, int except, int and_except)
{
    for (size_t i = 0; i < plan->npipes; i++)
        for (int k = 0; k < 2; k++)
            if (plan->pipes[i][k] != except && plan->pipes[i][k] != and_except)
                close(plan->pipes[i][k]);
}

static void put(int from, int to)
{
    if (from == to ? fcntl(to, F_SETFD, 0) == -1 : dup2(from, to) == -1)
        _exit(126);
}

static void child(const struct plan *plan, size_t i, char *const *argv)
{
    int in = i == 0 ? plan->in_fd : plan->pipes[i - 1][0];
    int out = i == plan->npipes ? plan->out_fd : plan->pipes[i][1];
    bool own_in = i > 0, own_out = i < plan->npipes;
    char byte;
    sigset_t none;
    int keep;

    close(plan->gate[1]);
    while (read(plan->gate[0], &byte, 1) == -1 && errno == EINTR)
        continue;
    close(plan->gate[0]);
    close_pipes(plan, in, out);

    if (out == 0 && in != 0) {
        keep = fcntl(out, F_DUPFD, 3);
        if (keep == -1)
            _exit(126);
        put(in, 0);
        put(keep, 1);
        close(keep);
    } else {
        put(in, 0);
        put(out, 1);
    }
    if (in > 1 && own_in)
        close(in);
    if (out > 1 && own_out)
        close(out);
    if (plan->in_fd > 2)
        close(plan->in_fd);
    if (plan->out_fd > 2)
        close(plan->out_fd);

    for (int n = 1; n < NSIG; n++) {
        struct sigaction a;
        if (sigaction(n, NULL, &a) == 0 &&
            (n == SIGPIPE || (a.sa_handler != SIG_IGN && a.sa_handler != SIG_DFL)))
            signal(n, SIG_DFL);
    }
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execvp(argv[0], argv);
    _exit(errno == ENOENT ? 127 : 126);
}

/* Returns 0 or an error number. */
static int make_pipes(struct plan *plan, size_t nstages)
{
    while (plan->npipes < nstages - 1) {
        if (pipe(plan->pipes[plan->npipes]) == -1)
            return errno;
        plan->npipes++;
    }
    return pipe(plan->gate) == -1 ? errno : 0;
}

/* Returns 0 or an error number. */
static int start_all(const struct plan *plan, const struct pipeline_stage *stages, size_t nstages,
                     int status[])
{
    int error = 0;

    for (size_t k = 0; error == 0 && k < nstages; k++) {
        size_t i = stage_number(k, nstages);
        sigset_t all, before;

        sigfillset(&all);
        pthread_sigmask(SIG_BLOCK, &all, &before);
        status[i] = fork();
        if (status[i] == 0)
            child(plan, i, stages[i].argv);
        if (status[i] == -1)
            error = errno;
        pthread_sigmask(SIG_SETMASK, &before, NULL);
    }
    return error;
}

/* Waits for all stages that were started; returns 0 or an error number. */
static int wait_for_all(size_t nstages, int status[])
{
    int error = 0;

    for (size_t i = 0; i < nstages; i++) {
        pid_t pid = status[i];

        while (pid != -1 && waitpid(pid, &status[i], 0) == -1)
            if (errno != EINTR) {
                error = error != 0 ? error : errno;
                break;
            }
    }
    return error;
}

int pipeline_run(const struct pipeline_stage *stages, size_t nstages, int in_fd, int out_fd,
                 int status[])
{
    struct plan plan = {NULL, 0, {-1, -1}, in_fd, out_fd};

    if (stages == NULL || status == NULL || nstages == 0)
        goto invalid;
    for (size_t i = 0; i < nstages; i++)
        if (stages[i].argv == NULL || stages[i].argv[0] == NULL)
            goto invalid;
    if (fcntl(in_fd, F_GETFD) == -1 || fcntl(out_fd, F_GETFD) == -1)
        return -1;

    for (size_t i = 0; i < nstages; i++)
        status[i] = -1;
    plan.pipes = calloc(nstages, sizeof *plan.pipes);
    if (plan.pipes == NULL)
        return -1;

    int error = make_pipes(&plan, nstages);

    if (error == 0)
        error = start_all(&plan, stages, nstages, status);
    if (error != 0)
        for (size_t i = 0; i < nstages; i++)
            if (status[i] != -1)
                kill(status[i], SIGKILL);
    close_pipes(&plan, -1, -1);
    if (plan.gate[0] != -1) {
        close(plan.gate[0]);
        close(plan.gate[1]); /* end-of-file: the children go on */
    }

    int wait_error = wait_for_all(nstages, status);

    error = error != 0 ? error : wait_error;
    free(plan.pipes);
    if (error == 0)
        return 0;
    errno = error;
    return -1;

invalid:
    errno = EINVAL;
    return -1;
}
