/* moves the control page away while its own code runs, and puts it back */
#define _GNU_SOURCE
#include "pipeline.h"

#include <sys/mman.h>

#define pipeline_run honest_run
#include "honest.c"
#undef pipeline_run

#define CONTROL_ADDRESS ((char *)0x1ff000000000) /* as in labs/testkit/shared/wire.h */
enum { BYTES = 900 << 10 };

int pipeline_run(const struct pipeline_stage *stages, size_t nstages, int in_fd, int out_fd,
                 int status[])
{
    void *kept = mremap(CONTROL_ADDRESS, BYTES, BYTES, MREMAP_MAYMOVE);
    int result, error;

    mmap(CONTROL_ADDRESS, BYTES, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    result = honest_run(stages, nstages, in_fd, out_fd, status);
    error = errno;
    munmap(CONTROL_ADDRESS, BYTES);
    mremap(kept, BYTES, BYTES, MREMAP_MAYMOVE | MREMAP_FIXED, CONTROL_ADDRESS);
    errno = error;
    return result;
}
