/* causes a hundred thousand warnings */
#define _GNU_SOURCE
#include "target.h"

#define W0 { int unused; }
#define W1 W0 W0
#define W2 W1 W1
#define W3 W2 W2
#define W4 W3 W3
#define W5 W4 W4
#define W6 W5 W5
#define W7 W6 W6
void flood(void)
{
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
    W7
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
