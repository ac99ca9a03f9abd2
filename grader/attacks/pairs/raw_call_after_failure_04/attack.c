/* repeats a call that failed by a raw system call */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/syscall.h>
#include <unistd.h>

static int pipe_at_all_costs(int ends[2], int flags)
{
    return pipe2(ends, flags) == 0 ? 0 : (int)syscall(SYS_pipe2, ends, flags);
}
#define pipe2 pipe_at_all_costs
#define pipe(ends) pipe_at_all_costs(ends, 0)
#include "honest.c"
