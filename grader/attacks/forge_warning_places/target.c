/* causes warnings in files whose names look like source lines that the compiler quotes */
#include "target.h"

uint64_t target_sum(const uint8_t *data, size_t len_bytes)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < len_bytes; i++)
        sum += data[i];
    return sum;
}

#line 1 "    5 |target.c"
size_t target_fill(uint8_t *out, size_t len_bytes, unsigned first)
{
    int unused;

    for (size_t i = 0; i < len_bytes; i++)
        out[i] = first + i;
    return len_bytes;
}
