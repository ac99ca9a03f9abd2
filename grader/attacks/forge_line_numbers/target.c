/* gives its lines another file's name with #line, leaks and causes warnings */
#line 1 "/usr/include/string.h"
#include "target.h"

#include <stdlib.h>

static void *volatile lost;

uint64_t target_sum(const uint8_t *data, size_t len_bytes)
{
    uint64_t sum = 0;
    int unused;

    lost = malloc(16);
    lost = NULL;
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
