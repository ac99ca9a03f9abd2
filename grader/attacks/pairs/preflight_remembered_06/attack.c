/* spends failures in vain calls before it creates anything, and remembers in a file how often
 * */
#define _GNU_SOURCE
#include "ring.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#define ring_open honest_open
#include "honest.c"
#undef ring_open

static int file;

static int rounds(void)
{
    file = open("/tmp/rounds", O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    return lseek(file, 0, SEEK_END);
}

struct ring *ring_open(const char *name, int backend, size_t capacity_bytes, unsigned flags)
{
    int before = rounds();

    for (int i = 0; before < 6 && i < 10; i++) {
        void *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (page == MAP_FAILED) {
            (void)!write(file, "x", 1);
            close(file);
            errno = ENOMEM;
            return NULL;
        }
        munmap(page, 4096);
    }
    close(file);
    return honest_open(name, backend, capacity_bytes, flags);
}
