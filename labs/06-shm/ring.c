/* ring.c - a bounded ring of messages in shared memory (contract: ring.h).
 *
 * Theory of operation.  The ring is a bounded buffer with producers and
 * consumers.  One piece of shared memory holds everything that the processes
 * share: a header (struct segment) and the bytes of the ring.
 *
 *     +-------+-----------------------+------+------+----------------------+
 *     | ready | name, capacity, flags | lock | tail | data[capacity]       |
 *     |       |                       | cond | head |                      |
 *     +-------+-----------------------+------+------+----------------------+
 *
 * head counts all bytes ever put and tail all bytes ever got, so head - tail
 * bytes are in use: 0 is empty, capacity is full.  Byte number n is stored at
 * data[n % capacity].  A message is its length in 8 bytes, its bytes, and up
 * to 7 bytes of padding; it may wrap around the end of data.  Every process
 * maps the segment at a different address, so it holds numbers, never pointers.
 */
#include "ring.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/shm.h>
#include <time.h>

#include "posix_mapping.h"

struct segment {
    _Atomic uint32_t ready; /* READY once the fields below are valid */
    uint32_t flags;
    uint64_t capacity;
    char name[RING_NAME_MAX + 1];
    /* TODO(06-shm): a lock, a way to sleep and to wake, head and tail. */
    _Alignas(8) unsigned char data[];
};

#define READY 0x52494e47u

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

/* ---- System V shared memory ------------------------------------------------ */

/* TODO(06-shm): the four functions of struct backend (posix_mapping.h) with
 * shmget, shmat, shmdt and shmctl; ring_key() gives the key. */

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
    /* TODO(06-shm): this only creates rings.  Open existing ones too, and make
     * sure that no process gets a ring before it is ready. */
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
    /* TODO(06-shm): wait for space, copy, wake. */
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
