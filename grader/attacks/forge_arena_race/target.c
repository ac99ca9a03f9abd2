/* a thread rewrites the shared memory while the test judges it */
#define _GNU_SOURCE
#include "target.h"

#include <pthread.h>

static uint8_t *volatile victim;
static volatile unsigned from;

static void *rewrite(void *unused)
{
    (void)unused;
    for (;;)
        if (victim)
            for (unsigned i = 0; i < 200; i++)
                victim[i] = from + i + (i == 199); /* the last one is wrong most of the time */
    return NULL;
}

uint64_t target_sum(const uint8_t *data, size_t len_bytes)
{
    (void)data, (void)len_bytes;
    return 0;
}

size_t target_fill(uint8_t *out, size_t len_bytes, unsigned first)
{
    pthread_t thread;

    from = first;
    victim = out;
    pthread_create(&thread, NULL, rewrite, NULL);
    return len_bytes;
}
