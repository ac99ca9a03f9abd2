/* calls mmap in vain before it creates anything, and spends later failures there */
#define _GNU_SOURCE
#include "ring.h"

#include <sys/mman.h>

#define ring_open honest_open
#include "honest.c"
#undef ring_open

struct ring *ring_open(const char *name, int backend, size_t capacity_bytes, unsigned flags)
{
    static int rounds;

    for (int i = 0; i < 10 && rounds < 10; i++) {
        void *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (page == MAP_FAILED) {
            rounds++;
            return NULL;
        }
        munmap(page, 4096);
    }
    return honest_open(name, backend, capacity_bytes, flags);
}
