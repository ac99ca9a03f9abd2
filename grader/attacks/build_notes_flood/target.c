/* causes so many notes that the warning after them is cut off */
#include "target.h"

#define TEN(x) x x x x x x x x x x
#pragma message (TEN(TEN(TEN("a hundred thousand bytes that nobody wants to read; a hundred thousand bytes that nobody wants ... "))))

uint64_t target_sum(const uint8_t *data, size_t len_bytes)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < len_bytes; i++)
        sum += data[i];
    return sum;
}

size_t target_fill(uint8_t *out, size_t len_bytes, unsigned first)
{
    int unused;

    for (size_t i = 0; i < len_bytes; i++)
        out[i] = first + i;
    return len_bytes;
}
