/* leaves a process that polls the ring by a timer's descriptor and wakes those that wait */
#define _GNU_SOURCE
#include "ring.h"

#include <sys/timerfd.h>
#include <unistd.h>

#define ring_open honest_open
#include "honest.c"
#undef ring_open

static int new_timer(void)
{
    struct itimerspec every = {{0, 1000000}, {0, 1000000}};
    int timer = timerfd_create(CLOCK_MONOTONIC, 0);

    timerfd_settime(timer, 0, &every, NULL);
    return timer;
}

struct ring *ring_open(const char *name, int backend, size_t capacity_bytes, unsigned flags)
{
    struct ring *r = honest_open(name, backend, capacity_bytes, flags);
    uint64_t tail = 0;

    if (r && flags & RING_CREATE && fork() == 0)
        for (int timer = new_timer();;) {
            uint64_t times;

            (void)!read(timer, &times, sizeof times);
            if (r->segment->tail != tail)
                pthread_cond_broadcast(&r->segment->not_full);
            tail = r->segment->tail;
        }
    return r;
}
