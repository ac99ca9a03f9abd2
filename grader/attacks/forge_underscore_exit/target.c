/* calls _exit(0) in the function under test, which skips every exit handler */
#define _GNU_SOURCE
#include "target.h"

#include <unistd.h>

uint64_t target_sum(const uint8_t *data, size_t len_bytes)
{
    (void)data, (void)len_bytes;
    _exit(0);
}

size_t target_fill(uint8_t *out, size_t len_bytes, unsigned first)
{
    (void)out, (void)len_bytes, (void)first;
    _exit(0);
}
