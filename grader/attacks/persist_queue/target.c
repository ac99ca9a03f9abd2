/* leaves System V and POSIX message queues */
#define _GNU_SOURCE
#include "target.h"

#include <fcntl.h>
#include <mqueue.h>
#include <sys/msg.h>

__attribute__((constructor)) static void leave(void)
{
    msgget(IPC_PRIVATE, IPC_CREAT | 0600);
    mq_open("/queue", O_CREAT | O_RDWR, 0600, NULL);
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
