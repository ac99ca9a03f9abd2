/* leaves a process that polls the ring and wakes those that wait */
#define _GNU_SOURCE
#include "ring.h"

#include <unistd.h>

#define ring_open honest_open
#include "honest.c"
#undef ring_open

struct ring *ring_open(const char *name, int backend, size_t capacity_bytes, unsigned flags)
{
    struct ring *r = honest_open(name, backend, capacity_bytes, flags);
    uint64_t tail = 0;

    if (r && flags & RING_CREATE && fork() == 0)
        for (;;) {
            usleep(1000);
            if (r->segment->tail != tail)
                pthread_cond_broadcast(&r->segment->not_full);
            tail = r->segment->tail;
        }
    return r;
}
