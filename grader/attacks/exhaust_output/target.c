/* writes far more to stdout and stderr than the grader keeps */
#define _GNU_SOURCE
#include "target.h"

#include <string.h>
#include <unistd.h>

static void flood(void)
{
    static char text[1 << 16];

    memset(text, 'x', sizeof text);
    for (int i = 0; i < 200; i++) {
        (void)!write(1, text, sizeof text);
        (void)!write(2, text, sizeof text);
    }
}

__attribute__((constructor)) static void at_load(void)
{
    flood();
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
