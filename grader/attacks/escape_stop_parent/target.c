/* stops the parent, lowers its limits and its priority */
#define _GNU_SOURCE
#include "target.h"

#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

__attribute__((constructor)) static void hold_up(void)
{
    struct rlimit none = {0, 0};
    struct sched_param idle = {0};
    pid_t fork_server = getppid();

    kill(fork_server, SIGSTOP);
    prlimit(fork_server, RLIMIT_NOFILE, &none, NULL);
    prlimit(fork_server, RLIMIT_NPROC, &none, NULL);
    prlimit(fork_server, RLIMIT_CPU, &none, NULL);
    prlimit(fork_server, RLIMIT_AS, &none, NULL);
    sched_setscheduler(fork_server, SCHED_IDLE, &idle);
    setpriority(PRIO_PROCESS, fork_server, 19);
}

uint64_t target_sum(const uint8_t *data, size_t len_bytes)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < len_bytes; i++)
        sum += data[i];
    return sum;
}

size_t target_fill(uint8_t *out, size_t len_bytes, unsigned first)
{
    for (size_t i = 0; i < len_bytes; i++)
        out[i] = first + i;
    return len_bytes;
}
