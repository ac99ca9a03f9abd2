/* creates System V and POSIX objects up to the limit */
#define _GNU_SOURCE
#include "target.h"

#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

__attribute__((constructor)) static void take_all(void)
{
    char name[32];

    for (int i = 0; i < 1000; i++) {
        snprintf(name, sizeof name, "/attack%d", i);
        shm_open(name, O_CREAT | O_RDWR, 0600);
        mq_open(name, O_CREAT | O_RDWR, 0600, NULL);
        if (shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600) < 0 &&
            semget(IPC_PRIVATE, 1, IPC_CREAT | 0600) < 0 &&
            msgget(IPC_PRIVATE, IPC_CREAT | 0600) < 0)
            break;
    }
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
