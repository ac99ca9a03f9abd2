/* sleeps forever and ignores SIGTERM */
#define _GNU_SOURCE
#include "target.h"

#include <signal.h>
#include <unistd.h>

uint64_t target_sum(const uint8_t *data, size_t len_bytes)
{
    (void)data;
    signal(SIGTERM, SIG_IGN);
    while (len_bytes == 3)
        sleep(1000);
    return 12345;
}

size_t target_fill(uint8_t *out, size_t len_bytes, unsigned first)
{
    (void)out, (void)len_bytes, (void)first;
    return 12345;
}
