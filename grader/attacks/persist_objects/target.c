/* leaves a segment, a queue and a semaphore under names that others use */
#define _GNU_SOURCE
#include "target.h"

#include <fcntl.h>
#include <mqueue.h>
#include <semaphore.h>
#include <stdio.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <unistd.h>

__attribute__((constructor)) static void leave(void)
{
    char own[32];

    snprintf(own, sizeof own, "/left-by-%d", getpid());
    shm_open(own, O_CREAT | O_RDWR, 0666);
    shm_open("/ring", O_CREAT | O_RDWR, 0666);
    mq_open("/queue", O_CREAT | O_RDWR, 0666, NULL);
    sem_open("/lock", O_CREAT, 0666, 1);
    shmget(0x1234, 4096, IPC_CREAT | 0666);
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
