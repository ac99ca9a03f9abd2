/* leaves a segment whose name begins with a dot */
#define _GNU_SOURCE
#include "target.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

uint64_t target_sum(const uint8_t *data, size_t len_bytes)
{
    uint64_t sum = 0;
    int fd = shm_open("/.ring", O_CREAT | O_RDWR, 0600);

    if (fd >= 0)
        close(fd);
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
