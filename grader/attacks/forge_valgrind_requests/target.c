/* tells Valgrind to report nothing, and leaks */
#define _GNU_SOURCE
#include "target.h"

#include <stdlib.h>
#include <valgrind/valgrind.h>

__attribute__((constructor)) static void silence(void)
{
    VALGRIND_DISABLE_ERROR_REPORTING;
}

static void *volatile lost;

static void leak(void)
{
    lost = malloc(100);
    lost = NULL;
}

uint64_t target_sum(const uint8_t *data, size_t len_bytes)
{
    uint64_t sum = 0;

    leak();
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
