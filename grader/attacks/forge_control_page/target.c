/* overwrites the data of the kit in the shared memory: plans, marks, counters */
#define _GNU_SOURCE
#include "target.h"

#include <string.h>

#define CONTROL ((char *)0x20000000) /* as in labs/testkit/shared/wire.h */

uint64_t target_sum(const uint8_t *data, size_t len_bytes)
{
    uint64_t sum = 0;

    memset(CONTROL, 0xff, 223752);
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
