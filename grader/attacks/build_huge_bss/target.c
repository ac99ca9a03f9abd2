/* defines an uninitialised array of four gigabytes, which costs the compiler nothing */
#define _GNU_SOURCE
#include "target.h"

char huge[1UL << 32];

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
