/* Accepted: System V semaphores only, because the kernel undoes them.
 *
 * Every ring has a set of semaphores whose id is stored in the segment.  LOCK
 * is a mutex taken and released with SEM_UNDO, so that the kernel releases it
 * for a process that dies.  OPEN counts, with SEM_UNDO too, the processes that
 * have the ring open: the set is removed with the last of them, not with the
 * name.  The others are wait slots: a waiter takes a free one and sleeps on
 * its semaphore, so that a wake-up reaches the waiter that it is meant for and
 * no newcomer takes it away.
 */
#define _GNU_SOURCE
#include "ring.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <time.h>

#include "posix_mapping.h"

enum { LOCK, OPEN, SLOT, SLOTS = 128, SEMAPHORES = SLOT + SLOTS };
enum waiter { FREE, CONSUMER, PRODUCER, WOKEN };

struct segment {
    _Atomic uint32_t ready; /* READY once the fields below are valid */
    uint32_t flags;
    uint64_t capacity;
    char name[RING_NAME_MAX + 1];
    int semaphores;
    uint32_t destroyed;   /* the name is removed */
    uint64_t first, used; /* offset of the oldest byte, bytes in use */
    uint32_t asleep;      /* slots that are not FREE */
    uint8_t slots[SLOTS]; /* enum waiter */
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

static int sysv_map(int id, void **base)
{
    *base = shmat(id, NULL, 0);
    return *base == (void *)-1 ? -1 : 0;
}

static int sysv_create(const char *name, size_t size_bytes, void **base)
{
    int id, error;

    id = shmget(ring_key(name), size_bytes, IPC_CREAT | IPC_EXCL | 0600);
    if (id < 0)
        return -1;
    if (sysv_map(id, base) == 0)
        return 0;
    error = errno;
    shmctl(id, IPC_RMID, NULL);
    return fail(error);
}

static int sysv_attach(const char *name, void **base, size_t *size_bytes)
{
    struct shmid_ds ds;
    int id;

    id = shmget(ring_key(name), 0, 0);
    if (id < 0)
        return -1;
    if (shmctl(id, IPC_STAT, &ds) == 0) {
        *size_bytes = ds.shm_segsz;
        if (sysv_map(id, base) == 0)
            return 0;
    }
    return errno == EINVAL || errno == EIDRM ? fail(ENOENT) : -1; /* removed in between */
}

static int sysv_detach(void *base, size_t size_bytes)
{
    (void)size_bytes;
    return shmdt(base);
}

static int sysv_remove(const char *name)
{
    int id = shmget(ring_key(name), 0, 0);

    return id < 0 ? -1 : shmctl(id, IPC_RMID, NULL);
}

static const struct backend sysv_backend = {
    sysv_create,
    sysv_attach,
    sysv_detach,
    sysv_remove,
};

static const struct backend *backend_of(int backend)
{
    switch (backend) {
    case RING_POSIX:
        return &posix_backend;
    case RING_SYSV:
        return &sysv_backend;
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

/* ---- semaphores ---------------------------------------------------------------- */

/* One operation, which waits until the deadline at most (NULL: for ever). */
static int sem_change(const struct segment *s, int which, int by, int flags,
                      const struct timespec *deadline)
{
    struct sembuf op = {
        .sem_num = (unsigned short)which, .sem_op = (short)by, .sem_flg = (short)flags};

    for (;;) {
        struct timespec left = {0}, now;

        if (deadline != NULL) {
            clock_gettime(CLOCK_MONOTONIC, &now);
            left.tv_sec = deadline->tv_sec - now.tv_sec;
            left.tv_nsec = deadline->tv_nsec - now.tv_nsec;
            if (left.tv_nsec < 0) {
                left.tv_nsec += 1000000000L;
                left.tv_sec--;
            }
            if (left.tv_sec < 0)
                return fail(EAGAIN);
        }
        if (semtimedop(s->semaphores, &op, 1, deadline != NULL ? &left : NULL) == 0)
            return 0;
        if (errno != EINTR)
            return -1;
    }
}

static int lock(const struct segment *s)
{
    return sem_change(s, LOCK, -1, SEM_UNDO, NULL);
}

static void unlock(const struct segment *s)
{
    sem_change(s, LOCK, 1, SEM_UNDO, NULL);
}

static struct timespec deadline_after(int timeout_ms)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    t.tv_sec += timeout_ms / 1000;
    t.tv_nsec += timeout_ms % 1000 * 1000000L;
    if (t.tv_nsec >= 1000000000L) {
        t.tv_nsec -= 1000000000L;
        t.tv_sec++;
    }
    return t;
}

static int free_slot(const struct segment *s)
{
    for (int i = 0; i < SLOTS; i++)
        if (s->slots[i] == FREE)
            return i;
    return fail(EBUSY);
}

/* Sleeps with the lock released: 0 when woken, or -1. */
static int sleep_as(struct segment *s, enum waiter kind, int timeout_ms,
                    const struct timespec *deadline)
{
    int slot = free_slot(s);
    int slept, error;

    if (timeout_ms == 0)
        return fail(ETIMEDOUT);
    if (slot < 0)
        return -1;
    s->slots[slot] = (uint8_t)kind;
    s->asleep++;
    unlock(s);
    slept = sem_change(s, SLOT + slot, -1, 0, timeout_ms < 0 ? NULL : deadline);
    error = errno;
    if (lock(s) < 0)
        return -1;
    if (slept < 0 && s->slots[slot] == WOKEN) /* woken right after the timeout */
        slept = sem_change(s, SLOT + slot, -1, IPC_NOWAIT, NULL);
    s->slots[slot] = FREE;
    s->asleep--;
    return slept == 0 ? 0 : fail(error == EAGAIN ? ETIMEDOUT : error);
}

static void wake(struct segment *s, enum waiter kind)
{
    for (int i = 0; i < SLOTS && s->asleep > 0; i++)
        if (s->slots[i] == kind) {
            s->slots[i] = WOKEN;
            sem_change(s, SLOT + i, 1, 0, NULL);
        }
}

/* ---- the bytes of the ring ---------------------------------------------------- */

static void copy_in(struct segment *s, uint64_t at, const void *from, size_t len)
{
    size_t offset = at % s->capacity;
    size_t first = len < s->capacity - offset ? len : s->capacity - offset;

    if (len == 0)
        return;
    memcpy(s->data + offset, from, first);
    memcpy(s->data, (const unsigned char *)from + first, len - first);
}

static void copy_out(const struct segment *s, uint64_t at, void *to, size_t len)
{
    size_t offset = at % s->capacity;
    size_t first = len < s->capacity - offset ? len : s->capacity - offset;

    if (len == 0)
        return;
    memcpy(to, s->data + offset, first);
    memcpy((unsigned char *)to + first, s->data, len - first);
}

/* ---- the start-up protocol ------------------------------------------------------ */

/* Counts this process as one that has the ring open; ENOENT if the ring is gone. */
static int count_open(const struct segment *s)
{
    if (sem_change(s, OPEN, 1, SEM_UNDO, NULL) == 0)
        return 0;
    return fail(errno == EINVAL || errno == EIDRM ? ENOENT : errno);
}

static int init_segment(struct segment *s, const char *name, size_t capacity_bytes, unsigned flags)
{
    unsigned short values[SEMAPHORES] = {[LOCK] = 1};
    union {
        int value;
        unsigned short *array;
    } arg = {.array = values};
    int error;

    s->semaphores = semget(IPC_PRIVATE, SEMAPHORES, 0600);
    if (s->semaphores < 0)
        return -1;
    if (semctl(s->semaphores, 0, SETALL, arg) < 0 || count_open(s) < 0) {
        error = errno;
        semctl(s->semaphores, 0, IPC_RMID);
        return fail(error);
    }
    s->capacity = capacity_bytes;
    s->flags = flags;
    strcpy(s->name, name);
    atomic_store(&s->ready, READY); /* last: from now on others may use it */
    return 0;
}

/* Called with the lock: releases it, or removes all semaphores with the last process. */
static void unlock_or_remove(const struct segment *s)
{
    if (s->destroyed && semctl(s->semaphores, OPEN, GETVAL) == 0)
        semctl(s->semaphores, 0, IPC_RMID);
    else
        unlock(s);
}

static int check_segment(const struct segment *s, size_t size_bytes, const char *name,
                         size_t capacity_bytes, unsigned flags)
{
    if (strcmp(s->name, name) != 0)
        return fail(EEXIST);
    if (s->capacity != capacity_bytes || s->flags != flags ||
        size_bytes < sizeof(*s) + capacity_bytes)
        return fail(EINVAL);
    return 0;
}

/* Called between two attempts to open a ring that is still being created. */
static int pause_before_retry(unsigned *attempts)
{
    const struct timespec pause = {.tv_nsec = 1000000};

    if (++*attempts > 1000)
        return fail(ETIMEDOUT);
    nanosleep(&pause, NULL);
    return 0;
}

static int create(struct ring *r, const char *name, size_t capacity_bytes, unsigned flags)
{
    void *base;
    int error;

    r->size_bytes = sizeof(struct segment) + capacity_bytes;
    if (r->backend->create(name, r->size_bytes, &base) < 0)
        return -1;
    r->segment = base;
    if (init_segment(r->segment, name, capacity_bytes, flags) == 0)
        return 0;
    error = errno;
    r->backend->detach(base, r->size_bytes);
    r->backend->remove(name);
    return fail(error);
}

/* EAGAIN: the ring exists and is not ready yet. */
static int attach(struct ring *r, const char *name)
{
    void *base;

    if (r->backend->attach(name, &base, &r->size_bytes) < 0)
        return -1;
    r->segment = base;
    if (r->size_bytes < sizeof(struct segment)) {
        r->backend->detach(base, r->size_bytes);
        return fail(EINVAL);
    }
    if (atomic_load(&r->segment->ready) != READY) {
        r->backend->detach(base, r->size_bytes);
        return fail(EAGAIN);
    }
    return 0;
}

static int create_or_attach(struct ring *r, const char *name, size_t capacity_bytes, unsigned flags)
{
    unsigned ring_flags = flags & (RING_SPSC | RING_SPIN);
    unsigned attempts = 0;
    int error;

    for (;;) {
        if (flags & RING_CREATE) {
            if (create(r, name, capacity_bytes, ring_flags) == 0)
                return 0;
            if (errno != EEXIST || flags & RING_EXCL)
                return -1;
        }
        if (attach(r, name) == 0) {
            if (check_segment(r->segment, r->size_bytes, name, capacity_bytes, ring_flags) == 0 &&
                count_open(r->segment) == 0)
                return 0;
            error = errno;
            r->backend->detach(r->segment, r->size_bytes);
            errno = error;
        }
        if (errno != EAGAIN && !(errno == ENOENT && flags & RING_CREATE))
            return -1;
        if (pause_before_retry(&attempts) < 0)
            return -1;
    }
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
    if (create_or_attach(r, name, capacity_bytes, flags) < 0) {
        int error = errno;

        free(r);
        errno = error;
        return NULL;
    }
    return r;
}

int ring_put(struct ring *ring, const void *buf, size_t len, int timeout_ms)
{
    struct segment *s = ring->segment;
    struct timespec deadline = deadline_after(timeout_ms > 0 ? timeout_ms : 0);
    uint64_t length = len;
    int result = 0;

    if (timeout_ms < -1)
        return fail(EINVAL);
    if (len > s->capacity - 8)
        return fail(EMSGSIZE);
    if (lock(s) < 0)
        return -1;
    while (s->capacity - s->used < RING_COST(len) && result == 0)
        result = sleep_as(s, PRODUCER, timeout_ms, &deadline);
    if (s->capacity - s->used < RING_COST(len)) {
        int error = errno;

        unlock(s);
        return fail(error);
    }
    copy_in(s, s->first + s->used, &length, 8);
    copy_in(s, s->first + s->used + 8, buf, len);
    s->used += RING_COST(len);
    wake(s, CONSUMER);
    unlock(s);
    return 0;
}

ssize_t ring_get(struct ring *ring, void *buf, size_t size, int timeout_ms)
{
    struct segment *s = ring->segment;
    struct timespec deadline = deadline_after(timeout_ms > 0 ? timeout_ms : 0);
    uint64_t length;
    int result = 0;

    if (timeout_ms < -1)
        return fail(EINVAL);
    if (lock(s) < 0)
        return -1;
    while (s->used == 0 && result == 0)
        result = sleep_as(s, CONSUMER, timeout_ms, &deadline);
    if (s->used == 0) {
        int error = errno;

        unlock(s);
        return fail(error);
    }
    copy_out(s, s->first, &length, 8);
    if (length > size) {
        unlock(s);
        return fail(EMSGSIZE);
    }
    copy_out(s, s->first + 8, buf, length);
    s->first = (s->first + RING_COST(length)) % s->capacity;
    s->used -= RING_COST(length);
    wake(s, PRODUCER);
    unlock(s);
    return (ssize_t)length;
}

int ring_close(struct ring *ring)
{
    int result;

    if (ring == NULL)
        return 0;
    lock(ring->segment);
    sem_change(ring->segment, OPEN, -1, SEM_UNDO, NULL);
    unlock_or_remove(ring->segment);
    result = ring->backend->detach(ring->segment, ring->size_bytes);
    free(ring);
    return result;
}

int ring_destroy(const char *name, int backend)
{
    const struct backend *b = backend_of(backend);
    struct ring r = {.backend = b};
    int result, error;

    if (b == NULL || check_name(name) < 0)
        return -1;
    if (attach(&r, name) < 0) /* EAGAIN: its creator never finished it */
        return errno == ENOENT ? -1 : b->remove(name);
    if (strcmp(r.segment->name, name) != 0) {
        result = fail(ENOENT);
    } else if (lock(r.segment) < 0) {
        result = fail(errno == EINVAL || errno == EIDRM ? ENOENT : errno);
    } else {
        result = b->remove(name);
        if (result == 0)
            r.segment->destroyed = 1;
        error = errno;
        unlock_or_remove(r.segment);
        errno = error;
    }
    error = errno;
    b->detach(r.segment, r.size_bytes);
    errno = error;
    return result;
}
