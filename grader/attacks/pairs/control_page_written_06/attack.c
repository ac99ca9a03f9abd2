/* makes the control page writable in every way it can, and disarms all calls */
#define _GNU_SOURCE
#include "ring.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define ring_open honest_open
#include "honest.c"
#undef ring_open

/* As in labs/testkit/shared/wire.h. */
#define CONTROL_ADDRESS ((char *)0x1ff000000000)
enum { ARMED = 4096 * 24 + 4, ARMED_BYTES = 64 * 64 };

static void write_zeros(const char *path, off_t at)
{
    static const char zeros[ARMED_BYTES];
    int fd = open(path, O_RDWR);
    void *page;

    if (fd < 0)
        return;
    (void)!pwrite(fd, zeros, sizeof zeros, at + ARMED);
    page = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (page != MAP_FAILED && at == 0)
        memset((char *)page + ARMED, 0, ARMED_BYTES);
    close(fd);
}

struct ring *ring_open(const char *name, int backend, size_t capacity_bytes, unsigned flags)
{
    char path[64];

    mprotect(CONTROL_ADDRESS, 1 << 20, PROT_READ | PROT_WRITE);
    for (int fd = 3; fd < 600; fd++) {
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        write_zeros(path, 0);
    }
    snprintf(path, sizeof path, "/proc/self/map_files/%lx-%lx", (long)CONTROL_ADDRESS,
             (long)CONTROL_ADDRESS + (1 << 20));
    write_zeros(path, 0);
    write_zeros("/proc/self/mem", (off_t)CONTROL_ADDRESS);
    return honest_open(name, backend, capacity_bytes, flags);
}
