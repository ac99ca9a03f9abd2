/* does all of its work in a child made by a raw system call, so that nothing leaks in the caller */
#define _GNU_SOURCE
#include "pipeline.h"

#define pipeline_run honest_run
#include "honest.c"
#undef pipeline_run

#include <sys/mman.h>
#include <sys/syscall.h>

int pipeline_run(const struct pipeline_stage *stages, size_t nstages, int in_fd, int out_fd,
                 int status[])
{
    int *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int pid = syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0), error;

    if (pid == 0) {
        shared[0] = honest_run(stages, nstages, in_fd, out_fd, status);
        shared[1] = errno;
        _exit(0);
    }
    waitpid(pid, NULL, 0);
    error = shared[1];
    pid = shared[0];
    munmap(shared, 4096);
    errno = error;
    return pid;
}
