/* reports endlessly that a planned fault occurred, until the test runs out of memory */
#include "target.h"

#define FIRED ((volatile unsigned *)(0x20000000 + 3220)) /* as in labs/testkit/shared/wire.h */

uint64_t target_sum(const uint8_t *data, size_t len_bytes)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < len_bytes; i++)
        sum += data[i];
    return sum;
}

size_t target_fill(uint8_t *out, size_t len_bytes, unsigned first)
{
    *FIRED = 1;
    for (size_t i = 0; i < len_bytes; i++)
        out[i] = first + i;
    return len_bytes;
}
