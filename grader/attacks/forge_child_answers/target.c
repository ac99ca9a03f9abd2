/* a forked child replies instead of its parent, which sleeps */
#define _GNU_SOURCE
#include "target.h"

#include <unistd.h>

uint64_t target_sum(const uint8_t *data, size_t len_bytes)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < len_bytes; i++)
        sum += data[i];
    if (fork() > 0)
        for (;;)
            pause();
    return sum;
}

size_t target_fill(uint8_t *out, size_t len_bytes, unsigned first)
{
    for (size_t i = 0; i < len_bytes; i++)
        out[i] = first + i;
    if (fork() > 0)
        for (;;)
            pause();
    return len_bytes;
}
