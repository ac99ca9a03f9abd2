/* lets the first stage create children of the caller that announce themselves as the other stages */
#define _GNU_SOURCE
#include "pipeline.h"
#include "probe.h"

#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct pipeline_stage *all;
static size_t nall;

static void announce_others(void)
{
    struct announcement said = {.magic = PROBE_MAGIC};
    char byte;

    for (size_t i = 1; i < nall; i++) {
        if (syscall(SYS_clone, CLONE_PARENT | SIGCHLD, 0, 0, 0, 0) != 0)
            continue;
        signal(SIGPIPE, SIG_DFL);
        sigprocmask(SIG_SETMASK, &(sigset_t){0}, NULL);
        snprintf(said.name, sizeof said.name, "%s", all[i].argv[2]);
        send(PROBE_CONTROL_FD, &said, sizeof said, 0);
        (void)!read(PROBE_CONTROL_FD, &byte, 1);
        _exit(0);
    }
}

static int forge(const char *file, char *const argv[])
{
    if (strstr(file, "/probe") && argv[1] && !strcmp(argv[1], "announce") && argv == all[0].argv)
        announce_others();
    return execvp(file, argv);
}

#define execvp forge
#define pipeline_run honest_run
#include "honest.c"
#undef pipeline_run

int pipeline_run(const struct pipeline_stage *stages, size_t nstages, int in_fd, int out_fd,
                 int status[])
{
    all = stages;
    nall = nstages;
    return honest_run(stages, nstages, in_fd, out_fd, status);
}
