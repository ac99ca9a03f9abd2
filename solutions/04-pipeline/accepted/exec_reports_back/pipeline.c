/* Design: each child has a close-on-exec pipe to its parent, which closes by
 * itself when the program starts; before, the child may write why it did not,
 * and the parent complains about it.  So stages start one after the other.
 * PATH is searched here, and execve called, as execvp would do it.
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

/* What a child needs to know. */
struct job {
    char *const *argv;
    int input;
    int output;
    int in_fd;
    int out_fd;
    int report;
};

static void drop(int fd)
{
    int error = errno;

    if (fd != -1)
        close(fd);
    errno = error;
}

/* Ends at 3 or above, close-on-exec. */
static int make_pipe(struct ends *ends)
{
    int made[2];

    if (pipe2(made, O_CLOEXEC) == -1)
        return -1;
    ends->read = fcntl(made[0], F_DUPFD_CLOEXEC, 3);
    ends->write = ends->read == -1 ? -1 : fcntl(made[1], F_DUPFD_CLOEXEC, 3);
    drop(made[0]);
    drop(made[1]);
    if (ends->write != -1)
        return 0;
    drop(ends->read);
    return -1;
}

/* Becomes the program in this file, or a shell that reads it. */
static void run_file(const char *file, char *const argv[])
{
    size_t n = 0;

    execve(file, argv, environ);
    if (errno != ENOEXEC)
        return;
    while (argv[n] != NULL)
        n++;

    const char *shell[n + 2]; /* sh, the file, argv from 1 on with its NULL */

    shell[0] = "sh";
    shell[1] = file;
    for (size_t i = 1; i <= n; i++)
        shell[i + 1] = argv[i];
    execve("/bin/sh", (char *const *)shell, environ);
}

static void run_command(char *const argv[])
{
    const char *rest = getenv("PATH");
    bool refused = false;

    if (argv[0][0] == '\0' || strchr(argv[0], '/') != NULL) {
        run_file(argv[0], argv);
        return;
    }
    for (rest = rest != NULL ? rest : "/bin:/usr/bin"; rest != NULL;) {
        const char *end = strchrnul(rest, ':');
        char file[PATH_MAX];

        if (snprintf(file, sizeof file, "%.*s%s%s", (int)(end - rest), rest, end == rest ? "" : "/",
                     argv[0]) < (int)sizeof file) {
            run_file(file, argv);
            if (errno == EACCES)
                refused = true;
            else if (errno != ENOENT && errno != ENOTDIR)
                return;
        }
        rest = *end == ':' ? end + 1 : NULL;
    }
    errno = refused ? EACCES : ENOENT;
}

static bool place(int fd, int where)
{
    return fd == where ? fcntl(fd, F_SETFD, 0) != -1 : dup2(fd, where) != -1;
}

static void child(struct job job)
{
    sigset_t none;

    if (job.output == 0)
        job.output = fcntl(0, F_DUPFD_CLOEXEC, 3);
    if (job.output == -1 || !place(job.input, 0) || !place(job.output, 1))
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

/* Forks a stage, and waits until it runs its program or has failed to. */
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
    drop(report.write);
    while (pid != -1 && (n = read(report.read, &error, sizeof error)) == -1 && errno == EINTR)
        continue;
    if (pid != -1 && error != 0)
        dprintf(2, "%s: %s\n", job.argv[0], strerror(error));
    drop(report.read);
    return pid;
}

int pipeline_run(const struct pipeline_stage *stages, size_t nstages, int in_fd, int out_fd,
                 int status[])
{
    size_t started = 0;
    bool well = true;

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
    for (int input = in_fd; well && started < nstages;) {
        struct ends ends = {-1, -1};
        bool last = started + 1 == nstages;

        well = last || make_pipe(&ends) == 0;
        if (well) {
            struct job job = {
                stages[started].argv, input, last ? out_fd : ends.write, in_fd, out_fd, -1};

            pids[started] = start(job);
            well = pids[started] != -1;
        }
        started += well;
        drop(ends.write);
        drop(input == in_fd ? -1 : input);
        if (!well)
            drop(ends.read);
        input = ends.read;
    }

    int error = errno;

    for (size_t i = 0; i < started; i++) {
        if (!well)
            kill(pids[i], SIGKILL);
        while (waitpid(pids[i], &status[i], 0) == -1 && errno == EINTR)
            continue;
    }
    free(pids);
    errno = error;
    return well ? 0 : -1;
}
