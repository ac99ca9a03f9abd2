/* unwinds the stack from the function into its caller */
#define _GNU_SOURCE
#include "target.h"

#include <pthread.h>

uint64_t target_sum(const uint8_t *data, size_t len_bytes)
{
    (void)data, (void)len_bytes;
    pthread_exit(NULL);
}

size_t target_fill(uint8_t *out, size_t len_bytes, unsigned first)
{
    (void)out, (void)len_bytes, (void)first;
    __builtin_return(__builtin_apply((void (*)())pthread_exit, 0, 0));
}
