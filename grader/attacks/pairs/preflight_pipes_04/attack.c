/* calls pipe as often as it will need it before it starts anything, and makes its real pipes by raw
 * system calls */
#define _GNU_SOURCE
#include "pipeline.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

static int raw_pipe(int ends[2], int flags)
{
    return syscall(SYS_pipe2, ends, flags);
}

static int real_pipe(int ends[2])
{
    return pipe(ends);
}

#define pipe2 raw_pipe
#define pipe(ends) raw_pipe(ends, 0)
#define pipeline_run honest_run
#include "honest.c"
#undef pipeline_run

int pipeline_run(const struct pipeline_stage *stages, size_t nstages, int in_fd, int out_fd,
                 int status[])
{
    for (size_t i = 1; i < nstages && status; i++) {
        int ends[2];

        if (real_pipe(ends) == -1) {
            for (size_t k = 0; k < nstages; k++)
                status[k] = -1;
            return -1;
        }
        close(ends[0]);
        close(ends[1]);
    }
    return honest_run(stages, nstages, in_fd, out_fd, status);
}
