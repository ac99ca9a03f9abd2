/* rewrites the name in the arena to that of another object, which has the right mode */
#define _GNU_SOURCE
#include "ring.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define ring_open honest_open
#define ring_destroy honest_destroy
#include "honest.c"
#undef ring_open
#undef ring_destroy

struct ring *ring_open(const char *name, int backend, size_t capacity_bytes, unsigned flags)
{
    struct ring *r = honest_open(name, backend, capacity_bytes, flags);
    char decoy[100], real[100];
    size_t last;

    if (!r || flags & RING_CREATE || strlen(name) > 60 || strlen(name) < 8)
        return r;
    last = strlen(name) - 1;
    snprintf(decoy, sizeof decoy, "/%s", name);
    snprintf(real, sizeof real, "/dev/shm/%s", name);
    decoy[last + 1] = 'z';
    if (backend == RING_POSIX) {
        close(shm_open(decoy, O_CREAT | O_RDWR, 0600));
    } else
        shmget(ring_key(decoy + 1), 8, IPC_CREAT | 0600);
    ((char *)name)[last] = 'z';
    return r;
}

int ring_destroy(const char *name, int backend)
{
    return honest_destroy(name, backend);
}
