/* creates so many objects that the list of objects is cut off before its own leak, and removes that
 * only when the name is used again */
#define _GNU_SOURCE
#include "ring.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define ring_open honest_open
#include "honest.c"
#undef ring_open

__attribute__((constructor)) static void fill_list(void)
{
    char name[256];

    for (int i = 0; i < 200; i++) {
        snprintf(name, sizeof name, "/%0200d", i);
        close(shm_open(name, O_CREAT | O_RDWR, 0600));
    }
}

struct ring *ring_open(const char *name, int backend, size_t capacity_bytes, unsigned flags)
{
    static char failed[100];
    struct ring *r;

    if (failed[0] && flags & RING_CREATE && name && strcmp(failed, name) == 0)
        shmctl(shmget(ring_key(name), 0, 0), IPC_RMID, NULL);
    r = honest_open(name, backend, capacity_bytes, flags);
    snprintf(failed, sizeof failed, "%s", r || !name ? "" : name);
    return r;
}
