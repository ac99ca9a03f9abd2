/* Design: poll on one pidfd for each stage reaps them in the order in which they
 * end.  The children wait for end-of-file on a pipe until every stage has been
 * forked, so that no program has run at all when a fork fails.
 */
#define _GNU_SOURCE
#include "pipeline.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

struct job {
    pid_t pid;
    int input;
    int output;
};

/* Makes a pipe with both ends close-on-exec and at 3 or above. */
static int high_pipe(int ends[2])
{
    int made[2];

    if (pipe2(made, O_CLOEXEC) == -1)
        return -1;
    ends[0] = fcntl(made[0], F_DUPFD_CLOEXEC, 3);
    ends[1] = fcntl(made[1], F_DUPFD_CLOEXEC, 3);

    int error = errno;

    close(made[0]);
    close(made[1]);
    if (ends[0] != -1 && ends[1] != -1)
        return 0;
    if (ends[0] != -1)
        close(ends[0]);
    if (ends[1] != -1)
        close(ends[1]);
    errno = error;
    return -1;
}

static void install(int fd, int to)
{
    if (fd == to ? fcntl(fd, F_SETFD, 0) == -1 : dup3(fd, to, 0) == -1)
        _exit(126);
}

static void stage_main(const struct pipeline_stage *stage, struct job job, int start, int in_fd,
                       int out_fd)
{
    struct sigaction standard = {.sa_handler = SIG_DFL};
    sigset_t none;
    char go;

    while (read(start, &go, 1) == -1) /* until end-of-file */
        if (errno != EINTR)
            _exit(126);
    if (job.output == 0 && (job.output = fcntl(0, F_DUPFD_CLOEXEC, 3)) == -1)
        _exit(126);
    install(job.input, 0);
    install(job.output, 1);
    for (int k = 0; k < 2; k++) {
        int fd = k == 0 ? in_fd : out_fd;

        if (fd > 2)
            close(fd);
    }
    sigaction(SIGPIPE, &standard, NULL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    execvp(stage->argv[0], stage->argv);
    _exit(errno == ENOENT ? 127 : 126);
}

static void reap(pid_t pid, int *status)
{
    while (waitpid(pid, status, 0) == -1 && errno == EINTR)
        continue;
}

/* Waits for all stages: one after the other if there are no pidfds. */
static void wait_for_all(const struct job *jobs, size_t n, int status[])
{
    struct pollfd *ends = calloc(n, sizeof ends[0]);
    size_t left = ends == NULL ? 0 : n;

    for (size_t i = 0; i < left; i++) {
        ends[i] = (struct pollfd){(int)syscall(SYS_pidfd_open, jobs[i].pid, 0), POLLIN, 0};
        if (ends[i].fd == -1) {
            while (i-- > 0)
                close(ends[i].fd);
            left = 0;
        }
    }
    if (left == 0)
        for (size_t i = 0; i < n; i++)
            reap(jobs[i].pid, &status[i]);
    while (left > 0) {
        if (poll(ends, n, -1) == -1)
            continue;
        for (size_t i = 0; i < n; i++)
            if (ends[i].fd >= 0 && ends[i].revents != 0) {
                reap(jobs[i].pid, &status[i]);
                close(ends[i].fd);
                ends[i].fd = -1;
                left--;
            }
    }
    free(ends);
}

/* Forks all stages; stores in *nstarted how many there are.  Returns 0 or an
 * error number. */
static int start_all(const struct pipeline_stage *stages, size_t nstages, int in_fd, int out_fd,
                     const int start[2], struct job *jobs, size_t *nstarted)
{
    size_t started = 0;
    int error = 0;

    jobs[0].input = in_fd;
    while (started < nstages && error == 0) {
        struct job *job = &jobs[started];
        int ends[2] = {-1, out_fd};

        if (started + 1 < nstages && high_pipe(ends) == -1) {
            error = errno;
        } else {
            job->output = ends[1];
            job->pid = fork();
            if (job->pid == 0) {
                close(start[1]);
                stage_main(&stages[started], *job, start[0], in_fd, out_fd);
            }
            if (job->pid == -1)
                error = errno;
            else
                started++;
            if (job->output != out_fd)
                close(job->output);
        }
        if (job->input != in_fd)
            close(job->input);
        if (ends[0] != -1 && error != 0)
            close(ends[0]);
        if (error == 0 && started < nstages)
            jobs[started].input = ends[0];
    }
    *nstarted = started;
    return error;
}

int pipeline_run(const struct pipeline_stage *stages, size_t nstages, int in_fd, int out_fd,
                 int status[])
{
    int start[2];
    size_t started;
    int error;

    errno = EINVAL;
    if (stages == NULL || status == NULL || nstages < 1)
        return -1;
    for (size_t i = 0; i < nstages; i++)
        if (stages[i].argv == NULL || stages[i].argv[0] == NULL)
            return -1;
    if (fcntl(in_fd, F_GETFD) == -1 || fcntl(out_fd, F_GETFD) == -1)
        return -1;
    for (size_t i = 0; i < nstages; i++)
        status[i] = -1;

    struct job *jobs = calloc(nstages, sizeof jobs[0]);

    if (jobs == NULL)
        return -1;
    if (high_pipe(start) == -1) {
        error = errno;
        free(jobs);
        errno = error;
        return -1;
    }

    error = start_all(stages, nstages, in_fd, out_fd, start, jobs, &started);
    if (error != 0)
        for (size_t i = 0; i < started; i++)
            kill(jobs[i].pid, SIGKILL);
    close(start[0]);
    close(start[1]);
    wait_for_all(jobs, started, status);
    free(jobs);
    errno = error;
    return error == 0 ? 0 : -1;
}
