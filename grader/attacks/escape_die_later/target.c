/* exits between two calls, not during one */
#define _GNU_SOURCE
#include "target.h"

#include <pthread.h>
#include <sched.h>
#include <time.h>
#include <unistd.h>

static void *die(void *unused)
{
    struct timespec pause = {.tv_nsec = 300000};
    cpu_set_t all;

    CPU_ZERO(&all);
    for (int cpu = 0; cpu < 64; cpu++)
        CPU_SET(cpu, &all);
    sched_setaffinity(0, sizeof all, &all);
    nanosleep(&pause, NULL);
    _exit(0);
    return unused;
}

uint64_t target_sum(const uint8_t *data, size_t len_bytes)
{
    static int started;
    pthread_t thread;
    uint64_t sum = 0;

    if (!started++)
        pthread_create(&thread, NULL, die, NULL);
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
