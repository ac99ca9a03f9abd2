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
#ifdef SOLUTION
    pthread_mutex_t lock; /* robust; protects head, tail and data */
    pthread_cond_t not_empty, not_full;
    uint64_t head, tail;
#else
    /* TODO(06-shm): a lock, a way to sleep and to wake, head and tail. */
#endif
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

#ifdef SOLUTION
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
#else
/* TODO(06-shm): the four functions of struct backend (posix_mapping.h) with
 * shmget, shmat, shmdt and shmctl; ring_key() gives the key. */
#endif

static const struct backend *backend_of(int backend)
{
    switch (backend) {
    case RING_POSIX:
        return &posix_backend;
#ifdef SOLUTION
    case RING_SYSV:
        return &sysv_backend;
#endif
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
#ifdef SOLUTION

/* ---- locking and waiting ------------------------------------------------------ */

static int init_lock(struct segment *s)
{
    pthread_mutexattr_t mutex;
    pthread_condattr_t cond;
    int error;

    pthread_mutexattr_init(&mutex);
    pthread_mutexattr_setpshared(&mutex, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&mutex, PTHREAD_MUTEX_ROBUST);
    error = pthread_mutex_init(&s->lock, &mutex);
    pthread_mutexattr_destroy(&mutex);

    pthread_condattr_init(&cond);
    pthread_condattr_setpshared(&cond, PTHREAD_PROCESS_SHARED);
    pthread_condattr_setclock(&cond, CLOCK_MONOTONIC);
    if (error == 0)
        error = pthread_cond_init(&s->not_empty, &cond);
    if (error == 0)
        error = pthread_cond_init(&s->not_full, &cond);
    pthread_condattr_destroy(&cond);
    return error;
}

/* Recovers the lock if its owner died.  head and tail each change in one
 * store at the very end of a put or get, so there is nothing to repair; only
 * the waiters that the dead process would have woken must check again. */
static int recover(struct segment *s, int error)
{
    if (error != EOWNERDEAD)
        return error;
    pthread_cond_broadcast(&s->not_empty);
    pthread_cond_broadcast(&s->not_full);
    return pthread_mutex_consistent(&s->lock);
}

static int lock(struct segment *s)
{
    return recover(s, pthread_mutex_lock(&s->lock));
}

static void unlock(struct segment *s)
{
    pthread_mutex_unlock(&s->lock);
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

/* Sleeps with the lock released.  A return of 0 may be a spurious wake-up. */
static int sleep_on(struct segment *s, pthread_cond_t *cond, int timeout_ms,
                    const struct timespec *deadline)
{
    if (timeout_ms == 0)
        return ETIMEDOUT;
    if (timeout_ms < 0)
        return recover(s, pthread_cond_wait(cond, &s->lock));
    return recover(s, pthread_cond_timedwait(cond, &s->lock, deadline));
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

static uint64_t free_bytes(const struct segment *s)
{
    return s->capacity - (s->head - s->tail);
}

/* ---- the start-up protocol ------------------------------------------------------ */

static int init_segment(struct segment *s, const char *name, size_t capacity_bytes, unsigned flags)
{
    int error = init_lock(s);

    if (error != 0)
        return fail(error);
    s->capacity = capacity_bytes;
    s->flags = flags;
    strcpy(s->name, name);
    atomic_store(&s->ready, READY); /* last: from now on others may use it */
    return 0;
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
        if (attach(r, name) == 0)
            break;
        if (errno != EAGAIN && !(errno == ENOENT && flags & RING_CREATE))
            return -1;
        if (pause_before_retry(&attempts) < 0)
            return -1;
    }
    if (check_segment(r->segment, r->size_bytes, name, capacity_bytes, ring_flags) == 0)
        return 0;
    error = errno;
    r->backend->detach(r->segment, r->size_bytes);
    return fail(error);
}
#endif

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
#ifdef SOLUTION
    if (create_or_attach(r, name, capacity_bytes, flags) < 0) {
        int error = errno;

        free(r);
        errno = error;
        return NULL;
    }
    return r;
#else
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
#endif
}

int ring_put(struct ring *ring, const void *buf, size_t len, int timeout_ms)
{
#ifdef SOLUTION
    struct segment *s = ring->segment;
    struct timespec deadline = deadline_after(timeout_ms > 0 ? timeout_ms : 0);
    uint64_t length = len;
    int error;

    if (timeout_ms < -1)
        return fail(EINVAL);
    if (len > s->capacity - 8) /* checked first: RING_COST may overflow */
        return fail(EMSGSIZE);
    error = lock(s);
    if (error != 0)
        return fail(error);
    while (free_bytes(s) < RING_COST(len) && error == 0)
        error = sleep_on(s, &s->not_full, timeout_ms, &deadline);
    if (free_bytes(s) < RING_COST(len)) {
        unlock(s);
        return fail(error);
    }
    copy_in(s, s->head, &length, 8);
    copy_in(s, s->head + 8, buf, len);
    s->head += RING_COST(len); /* this store makes the message visible */
    pthread_cond_broadcast(&s->not_empty);
    unlock(s);
    return 0;
#else
    /* TODO(06-shm): wait for space, copy, wake. */
    (void)ring, (void)buf, (void)len, (void)timeout_ms;
    return fail(ENOSYS);
#endif
}

ssize_t ring_get(struct ring *ring, void *buf, size_t size, int timeout_ms)
{
#ifdef SOLUTION
    struct segment *s = ring->segment;
    struct timespec deadline = deadline_after(timeout_ms > 0 ? timeout_ms : 0);
    uint64_t length;
    int error;

    if (timeout_ms < -1)
        return fail(EINVAL);
    error = lock(s);
    if (error != 0)
        return fail(error);
    while (s->head == s->tail && error == 0)
        error = sleep_on(s, &s->not_empty, timeout_ms, &deadline);
    if (s->head == s->tail) {
        unlock(s);
        return fail(error);
    }
    copy_out(s, s->tail, &length, 8);
    if (length > size) {
        unlock(s);
        return fail(EMSGSIZE);
    }
    copy_out(s, s->tail + 8, buf, length);
    s->tail += RING_COST(length); /* this store frees its space */
    pthread_cond_broadcast(&s->not_full);
    unlock(s);
    return (ssize_t)length;
#else
    /* TODO(06-shm): wait for a message, copy, wake. */
    (void)ring, (void)buf, (void)size, (void)timeout_ms;
    return fail(ENOSYS);
#endif
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
#ifdef SOLUTION
    struct ring r = {.backend = b};
    bool same_name = true;
#endif

    if (b == NULL || check_name(name) < 0)
        return -1;
#ifdef SOLUTION
    if (attach(&r, name) == 0) {
        same_name = strcmp(r.segment->name, name) == 0;
        b->detach(r.segment, r.size_bytes);
    } else if (errno == ENOENT) {
        return -1;
    } /* else its creator never finished it: remove it */
    return same_name ? b->remove(name) : fail(ENOENT);
#else
    return b->remove(name);
#endif
}
