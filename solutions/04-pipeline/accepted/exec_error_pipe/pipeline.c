/* Design: each child has a close-on-exec pipe to its parent.  A successful exec
 * closes it; after a failed exec the child writes errno to it, and the parent
 * prints the error message.  So each stage has executed its program before the
 * next one is forked.  This file searches PATH itself, as execvp would, and
 * calls execve.
 */
#define _GNU_SOURCE
#include "pipeline.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

struct ends {
    int read;
    int write;
};

/* What a child needs to set itself up. */
struct job {
    char *const *argv;
    int input;
    int output;
    int in_fd;
    int out_fd;
    int report;
};

static void close_quietly(int fd)
{
    int error = errno;

    if (fd != -1)
        close(fd);
    errno = error;
}

/* Makes a pipe whose ends are close-on-exec and at 3 or above. */
static int make_pipe(struct ends *ends)
{
    int made[2];

    if (pipe2(made, O_CLOEXEC) == -1)
        return -1;
    ends->read = fcntl(made[0], F_DUPFD_CLOEXEC, 3);
    ends->write = ends->read == -1 ? -1 : fcntl(made[1], F_DUPFD_CLOEXEC, 3);
    close_quietly(made[0]);
    close_quietly(made[1]);
    if (ends->write != -1)
        return 0;
    close_quietly(ends->read);
    return -1;
}

/* Executes a file, or a shell that reads it. */
static void run_file(const char *file, char *const argv[])
{
    size_t n = 0;

    execve(file, argv, environ);
    if (errno != ENOEXEC)
        return;
    while (argv[n] != NULL)
        n++;

    const char *shell[n + 2]; /* sh, the file, argv[1] to argv[n], which is NULL */

    shell[0] = "sh";
    shell[1] = file;
    for (size_t i = 1; i <= n; i++)
        shell[i + 1] = argv[i];
    execve("/bin/sh", (char *const *)shell, environ);
}

static void run_command(char *const argv[])
{
    const char *path = getenv("PATH");
    bool denied = false;

    if (argv[0][0] == '\0' || strchr(argv[0], '/') != NULL) {
        run_file(argv[0], argv);
        return;
    }
    for (path = path != NULL ? path : "/bin:/usr/bin"; path != NULL;) {
        const char *end = strchrnul(path, ':');
        char file[PATH_MAX];

        if (snprintf(file, sizeof file, "%.*s%s%s", (int)(end - path), path, end == path ? "" : "/",
                     argv[0]) < (int)sizeof file) {
            run_file(file, argv);
            if (errno == EACCES)
                denied = true;
            else if (errno != ENOENT && errno != ENOTDIR)
                return;
        }
        path = *end == ':' ? end + 1 : NULL;
    }
    errno = denied ? EACCES : ENOENT;
}

static bool install(int fd, int to)
{
    return fd == to ? fcntl(fd, F_SETFD, 0) != -1 : dup2(fd, to) != -1;
}

static void child(struct job job)
{
    sigset_t none;

    if (job.output == 0)
        job.output = fcntl(0, F_DUPFD_CLOEXEC, 3);
    if (job.output == -1 || !install(job.input, 0) || !install(job.output, 1))
        _exit(126);
    if (job.in_fd > 2)
        fcntl(job.in_fd, F_SETFD, FD_CLOEXEC);
    if (job.out_fd > 2)
        fcntl(job.out_fd, F_SETFD, FD_CLOEXEC);
    signal(SIGPIPE, SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    run_command(job.argv);

    int error = errno;

    _exit(write(job.report, &error, sizeof error) != sizeof error || error != ENOENT ? 126 : 127);
}

/* Forks a stage and waits until it has executed its program or failed to. */
static pid_t start(struct job job)
{
    struct ends report;
    int error = 0;
    ssize_t n;

    if (make_pipe(&report) == -1)
        return -1;
    job.report = report.write;

    pid_t pid = fork();

    if (pid == 0)
        child(job);
    close_quietly(report.write);
    while (pid != -1 && (n = read(report.read, &error, sizeof error)) == -1 && errno == EINTR)
        continue;
    if (pid != -1 && error != 0)
        dprintf(2, "%s: %s\n", job.argv[0], strerror(error));
    close_quietly(report.read);
    return pid;
}

int pipeline_run(const struct pipeline_stage *stages, size_t nstages, int in_fd, int out_fd,
                 int status[])
{
    size_t started = 0;
    bool ok = true;

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

    pid_t *pids = malloc(nstages * sizeof pids[0]);

    if (pids == NULL)
        return -1;
    for (int input = in_fd; ok && started < nstages;) {
        struct ends ends = {-1, -1};
        bool last = started + 1 == nstages;

        ok = last || make_pipe(&ends) == 0;
        if (ok) {
            struct job job = {
                stages[started].argv, input, last ? out_fd : ends.write, in_fd, out_fd, -1};

            pids[started] = start(job);
            ok = pids[started] != -1;
        }
        started += ok;
        close_quietly(ends.write);
        close_quietly(input == in_fd ? -1 : input);
        if (!ok)
            close_quietly(ends.read);
        input = ends.read;
    }

    int error = errno;

    for (size_t i = 0; i < started; i++) {
        if (!ok)
            kill(pids[i], SIGKILL);
        while (waitpid(pids[i], &status[i], 0) == -1 && errno == EINTR)
            continue;
    }
    free(pids);
    errno = error;
    return ok ? 0 : -1;
}
