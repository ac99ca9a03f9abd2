/* target.c - the reference: what must still score in full after each attack. */
#include "target.h"

uint64_t target_sum(const uint8_t *data, size_t len_bytes)
{
    uint64_t sum = 0;

#ifdef SOLUTION
    for (size_t i = 0; i < len_bytes; i++)
        sum += data[i];
#else
    (void)data, (void)len_bytes;
#endif
    return sum;
}

size_t target_fill(uint8_t *out, size_t len_bytes, unsigned first)
{
#ifdef SOLUTION
    for (size_t i = 0; i < len_bytes; i++)
        out[i] = first + i;
    return len_bytes;
#else
    (void)out, (void)len_bytes, (void)first;
    return 0;
#endif
}
