/* makes calls in vain, so that the test holds it there and not where it matters */
#define _GNU_SOURCE
#include "ring.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <unistd.h>

#define ring_open honest_open
#include "honest.c"
#undef ring_open

enum { TIMES = 6 };

struct ring *ring_open(const char *name, int backend, size_t capacity_bytes, unsigned flags)
{
    static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

    for (int i = 0; i < TIMES && flags & RING_CREATE; i++) {
        close(shm_open("/", O_RDONLY, 0));
        (void)!ftruncate(-1, 0);
        munmap(mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 4096);
        shmget(0x7fffffff, 1, 0);
        shmat(-1, NULL, 0);
        pthread_mutex_lock(&mutex);
        pthread_mutex_unlock(&mutex);
    }
    return honest_open(name, backend, capacity_bytes, flags);
}
