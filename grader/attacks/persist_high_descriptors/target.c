/* leaks descriptors, with numbers that belong to the kit */
#include "target.h"

#include <fcntl.h>
#include <unistd.h>

uint64_t target_sum(const uint8_t *data, size_t len_bytes)
{
    int fd = open("/dev/null", O_RDONLY);
    uint64_t sum = 0;

    fcntl(fd, F_DUPFD, 501);
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
