/* computes forever in as many threads as it can create */
#define _GNU_SOURCE
#include "target.h"

#include <pthread.h>

static void *spin(void *unused)
{
    for (volatile unsigned i = 0;; i++)
        ;
    return unused;
}

uint64_t target_sum(const uint8_t *data, size_t len_bytes)
{
    pthread_t thread;

    (void)data;
    for (int i = 0; len_bytes == 3 && i < 100; i++)
        pthread_create(&thread, NULL, spin, NULL);
    if (len_bytes == 3)
        spin(NULL);
    return 12345;
}

size_t target_fill(uint8_t *out, size_t len_bytes, unsigned first)
{
    (void)out, (void)len_bytes, (void)first;
    return 12345;
}
