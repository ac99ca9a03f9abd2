/* allocates memory in several processes until they are killed */
#define _GNU_SOURCE
#include "target.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

uint64_t target_sum(const uint8_t *data, size_t len_bytes)
{
    (void)data;
    if (len_bytes == 3)
        fork();
    while (len_bytes == 3) {
        void *piece = malloc(16 << 20);

        if (!piece)
            abort();
        memset(piece, 1, 16 << 20);
    }
    return 12345;
}

size_t target_fill(uint8_t *out, size_t len_bytes, unsigned first)
{
    (void)out, (void)len_bytes, (void)first;
    return 12345;
}
