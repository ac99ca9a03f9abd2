/* ring.c - a bounded ring of messages in shared memory (contract: ring.h).
 *
 * Theory of operation.  One piece of shared memory holds everything that the
 * processes have in common: a header (struct segment) and the ring's bytes.
 *
 *     +-------+-----------------------+------+------+----------------------+
 *     | ready | name, capacity, flags | lock | tail | data[capacity]       |
 *     |       |                       | cond | head |                      |
 *     +-------+-----------------------+------+------+----------------------+
 *
 * head and tail count all bytes ever put and got, so head - tail is what is in
 * the ring: 0 is empty, capacity is full.  The byte with number n lies at
 * data[n % capacity].  A message is its length in 8 bytes, then its bytes,
 * then up to 7 that only fill up; it may go over the end of data and on at the
 * beginning.  Every process has the segment at another address: what is in
 * it is a number, never a pointer.
 */
#include "ring.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct segment {
    _Atomic uint32_t ready; /* READY as soon as all below may be used */
    uint32_t flags;
    uint64_t capacity;
    char name[RING_NAME_MAX + 1];
    /* TODO(06-shm): a lock, something to sleep on, head and tail. */
    _Alignas(8) unsigned char data[];
};

#define READY 0x52494e47u

/* A back end: how named memory is made, found and removed.  create gives
 * memory that is all zero, and EEXIST if the name is taken.  attach gives
 * ENOENT if there is none, and EAGAIN if it has no size yet. */
struct backend {
    int (*create)(const char *name, size_t size_bytes, void **base);
    int (*attach)(const char *name, void **base, size_t *size_bytes);
    int (*detach)(void *base, size_t size_bytes);
    int (*remove)(const char *name);
};

struct ring {
    struct segment *segment;
    size_t size_bytes; /* of the whole mapping */
    const struct backend *backend;
};

static int fail(int error)
{
    errno = error;
    return -1;
}

/* ---- POSIX shared memory (given) ------------------------------------------ */

static void posix_path(const char *name, char path[RING_NAME_MAX + 2])
{
    path[0] = '/';
    strcpy(path + 1, name);
}

/* Maps what fd refers to and closes fd, which the mapping does not need. */
static int posix_map(int fd, size_t size_bytes, void **base)
{
    int error;

    *base = mmap(NULL, size_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    error = errno;
    close(fd);
    return *base == MAP_FAILED ? fail(error) : 0;
}

static int posix_create(const char *name, size_t size_bytes, void **base)
{
    char path[RING_NAME_MAX + 2];
    int fd, error;

    posix_path(name, path);
    fd = shm_open(path, O_RDWR | O_CREAT | O_EXCL, 0600);
    if (fd < 0)
        return -1;
    if (ftruncate(fd, (off_t)size_bytes) < 0) {
        error = errno;
        close(fd);
        goto undo;
    }
    if (posix_map(fd, size_bytes, base) == 0)
        return 0;
    error = errno;
undo:
    shm_unlink(path);
    return fail(error);
}

static int posix_attach(const char *name, void **base, size_t *size_bytes)
{
    char path[RING_NAME_MAX + 2];
    struct stat st;
    int fd, error;

    posix_path(name, path);
    fd = shm_open(path, O_RDWR, 0);
    if (fd < 0)
        return -1;
    if (fstat(fd, &st) < 0) {
        error = errno;
        close(fd);
        return fail(error);
    }
    if (st.st_size == 0) { /* between its maker's shm_open and ftruncate */
        close(fd);
        return fail(EAGAIN);
    }
    *size_bytes = (size_t)st.st_size;
    return posix_map(fd, *size_bytes, base);
}

static int posix_detach(void *base, size_t size_bytes)
{
    return munmap(base, size_bytes);
}

static int posix_remove(const char *name)
{
    char path[RING_NAME_MAX + 2];

    posix_path(name, path);
    return shm_unlink(path);
}

static const struct backend posix_backend = {
    posix_create,
    posix_attach,
    posix_detach,
    posix_remove,
};

/* ---- System V shared memory ------------------------------------------------ */

/* TODO(06-shm): the four functions of struct backend with shmget, shmat,
 * shmdt and shmctl, and ring_key() for the key. */

static const struct backend *backend_of(int backend)
{
    switch (backend) {
    case RING_POSIX:
        return &posix_backend;
    default:
        errno = EINVAL;
        return NULL;
    }
}

static int check_name(const char *name)
{
    if (name == NULL || name[0] == '\0' || strchr(name, '/') != NULL || strcmp(name, ".") == 0 ||
        strcmp(name, "..") == 0)
        return fail(EINVAL);
    return strlen(name) > RING_NAME_MAX ? fail(ENAMETOOLONG) : 0;
}

/* ---- the contract ------------------------------------------------------------------ */

struct ring *ring_open(const char *name, int backend, size_t capacity_bytes, unsigned flags)
{
    const unsigned known = RING_CREATE | RING_EXCL | RING_SPSC | RING_SPIN;
    const struct backend *b = backend_of(backend);
    struct ring *r;

    if (b == NULL || check_name(name) < 0)
        return NULL;
    if (capacity_bytes < RING_CAPACITY_MIN || capacity_bytes > RING_CAPACITY_MAX ||
        capacity_bytes % 8 != 0 || flags & ~known ||
        (flags & (RING_CREATE | RING_EXCL)) == RING_EXCL) {
        errno = EINVAL;
        return NULL;
    }
    r = malloc(sizeof(*r));
    if (r == NULL)
        return NULL;
    r->backend = b;
    /* TODO(06-shm): this only makes rings.  Open those that exist, and see to
     * it that nobody gets hold of one before it is ready. */
    {
        void *base;

        r->size_bytes = sizeof(struct segment) + capacity_bytes;
        if (b->create(name, r->size_bytes, &base) < 0) {
            free(r);
            return NULL;
        }
        r->segment = base;
        r->segment->capacity = capacity_bytes;
        r->segment->flags = flags;
        strcpy(r->segment->name, name);
        atomic_store(&r->segment->ready, READY);
        return r;
    }
}

int ring_put(struct ring *ring, const void *buf, size_t len, int timeout_ms)
{
    /* TODO(06-shm): wait for room, copy, wake. */
    (void)ring, (void)buf, (void)len, (void)timeout_ms;
    return fail(ENOSYS);
}

ssize_t ring_get(struct ring *ring, void *buf, size_t size, int timeout_ms)
{
    /* TODO(06-shm): wait for a message, copy, wake. */
    (void)ring, (void)buf, (void)size, (void)timeout_ms;
    return fail(ENOSYS);
}

int ring_close(struct ring *ring)
{
    int result;

    if (ring == NULL)
        return 0;
    result = ring->backend->detach(ring->segment, ring->size_bytes);
    free(ring);
    return result;
}

int ring_destroy(const char *name, int backend)
{
    const struct backend *b = backend_of(backend);

    if (b == NULL || check_name(name) < 0)
        return -1;
    return b->remove(name);
}
