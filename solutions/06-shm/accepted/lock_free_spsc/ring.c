/* Accepted: no lock where the contract allows it.
 *
 * RING_SPSC: each count has one writer, and a release store of it publishes
 * the bytes below it (memory order).  A side that cannot proceed spins for a
 * short, adaptive time and then sleeps on a futex; the other side wakes it if
 * it sees a sleeper.  With RING_SPIN there is neither sleep nor wake-up.
 * Without RING_SPSC there is a robust mutex, and the same futexes instead of
 * condition variables; a waiter checks again whenever the word changes.
 */
#define _GNU_SOURCE
#include "ring.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "posix_mapping.h"

enum { LINE = 64 }; /* bytes of a cache line */

/* Written by one side and read by the other. */
struct side {
    _Alignas(LINE) _Atomic uint64_t count; /* bytes ever put, or got */
    _Alignas(LINE) _Atomic uint32_t event; /* futex: changes after count if there are sleepers */
    _Atomic uint32_t sleepers;
};

struct segment {
    _Atomic uint32_t ready; /* READY once the fields below are valid */
    uint32_t flags;
    uint64_t capacity;
    char name[RING_NAME_MAX + 1];
    pthread_mutex_t lock; /* robust; without RING_SPSC only */
    struct side put, got;
    _Alignas(LINE) unsigned char data[];
};

#define READY 0x52494e47u

struct ring {
    struct segment *segment;
    size_t size_bytes; /* of the whole mapping */
    const struct backend *backend;
    size_t capacity;
    unsigned spins;    /* how often to check before sleeping */
    uint64_t seen_got; /* the other side's count when last read */
    uint64_t seen_put;
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

/* ---- locking and waiting --------------------------------------------------------- */

enum { SPINS_MIN = 1, SPINS_MAX = 2048 };

static int init_lock(struct segment *s)
{
    pthread_mutexattr_t attr;
    int error;

    pthread_mutexattr_init(&attr);
    pthread_mutexattr_setpshared(&attr, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
    error = pthread_mutex_init(&s->lock, &attr);
    pthread_mutexattr_destroy(&attr);
    return error;
}

/* After EOWNERDEAD there is nothing to repair, since a count changes last and
 * in one store, and no waiter to wake: a process that died in the middle of a
 * copy had not changed the count. */
static int lock(struct ring *r)
{
    int error;

    if (r->segment->flags & RING_SPSC)
        return 0;
    error = pthread_mutex_lock(&r->segment->lock);
    return error == EOWNERDEAD ? pthread_mutex_consistent(&r->segment->lock) : error;
}

static void unlock(struct ring *r)
{
    if (!(r->segment->flags & RING_SPSC))
        pthread_mutex_unlock(&r->segment->lock);
}

static void relax(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#endif
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

/* Sleeps while *word is expected: 0 (maybe a spurious wake-up) or ETIMEDOUT. */
static int futex_sleep(_Atomic uint32_t *word, uint32_t expected, const struct timespec *deadline)
{
    if (syscall(SYS_futex, word, FUTEX_WAIT_BITSET, expected, deadline, NULL,
                FUTEX_BITSET_MATCH_ANY) == 0)
        return 0;
    return errno == ETIMEDOUT ? ETIMEDOUT : 0; /* EINTR, EAGAIN: check again */
}

/* Called after side->count has changed. */
static void wake(const struct ring *r, struct side *side)
{
    if ((r->segment->flags & (RING_SPSC | RING_SPIN)) == (RING_SPSC | RING_SPIN))
        return;
    atomic_thread_fence(memory_order_seq_cst); /* the store of count before this load */
    if (atomic_load_explicit(&side->sleepers, memory_order_relaxed) == 0)
        return;
    atomic_fetch_add(&side->event, 1);
    syscall(SYS_futex, &side->event, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* Waits until side->count is no longer old; called with the lock, which is
 * released meanwhile.  0, ETIMEDOUT, or the error of lock(). */
static int wait_for_change(struct ring *r, struct side *side, uint64_t old, int timeout_ms,
                           const struct timespec *deadline)
{
    bool spin = r->segment->flags & RING_SPIN;
    int error = 0, lock_error;

    unlock(r);
    for (unsigned n = 0; n < r->spins || (spin && timeout_ms < 0); n++) {
        if (atomic_load_explicit(&side->count, memory_order_acquire) != old) {
            r->spins = r->spins < SPINS_MAX ? 2 * r->spins + 8 : SPINS_MAX;
            return lock(r);
        }
        relax();
    }
    r->spins = r->spins > 2 * SPINS_MIN ? r->spins / 2 : SPINS_MIN;
    if (spin) { /* with a timeout: no process would wake us */
        struct timespec now;

        while (error == 0 && atomic_load_explicit(&side->count, memory_order_acquire) == old) {
            clock_gettime(CLOCK_MONOTONIC, &now);
            if (now.tv_sec > deadline->tv_sec ||
                (now.tv_sec == deadline->tv_sec && now.tv_nsec >= deadline->tv_nsec))
                error = ETIMEDOUT;
        }
    } else {
        uint32_t event = atomic_load(&side->event);

        atomic_fetch_add(&side->sleepers, 1);
        if (atomic_load(&side->count) == old)
            error = futex_sleep(&side->event, event, timeout_ms < 0 ? NULL : deadline);
        atomic_fetch_sub(&side->sleepers, 1);
    }
    lock_error = lock(r);
    return lock_error != 0 ? lock_error : error;
}

/* ---- the bytes of the ring ---------------------------------------------------- */

/* A division is most of the cost of a small message; a mask is cheap. */
static size_t offset_of(const struct segment *s, uint64_t at)
{
    uint64_t mask = s->capacity - 1;

    return (s->capacity & mask) == 0 ? at & mask : at % s->capacity;
}

static void copy_in(struct segment *s, uint64_t at, const void *from, size_t len)
{
    size_t offset = offset_of(s, at);
    size_t first = len < s->capacity - offset ? len : s->capacity - offset;

    if (len == 0)
        return;
    memcpy(s->data + offset, from, first);
    if (first < len)
        memcpy(s->data, (const unsigned char *)from + first, len - first);
}

static void copy_out(const struct segment *s, uint64_t at, void *to, size_t len)
{
    size_t offset = offset_of(s, at);
    size_t first = len < s->capacity - offset ? len : s->capacity - offset;

    if (len == 0)
        return;
    memcpy(to, s->data + offset, first);
    if (first < len)
        memcpy((unsigned char *)to + first, s->data, len - first);
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
    r->capacity = capacity_bytes;
    r->spins = SPINS_MIN;
    r->seen_put = atomic_load(&r->segment->put.count);
    r->seen_got = atomic_load(&r->segment->got.count);
    return r;
}

int ring_put(struct ring *ring, const void *buf, size_t len, int timeout_ms)
{
    struct segment *s = ring->segment;
    struct timespec deadline;
    uint64_t length = len, at;
    size_t cost = RING_COST(len);
    int error;

    if (timeout_ms < -1)
        return fail(EINVAL);
    if (len > ring->capacity - 8)
        return fail(EMSGSIZE);
    if (timeout_ms > 0)
        deadline = deadline_after(timeout_ms);
    error = lock(ring);
    if (error != 0)
        return fail(error);
    for (;;) {
        at = atomic_load_explicit(&s->put.count, memory_order_relaxed);
        if (at + cost - ring->seen_got <= ring->capacity)
            break;
        ring->seen_got = atomic_load_explicit(&s->got.count, memory_order_acquire);
        if (at + cost - ring->seen_got <= ring->capacity)
            break;
        if (error == 0 && timeout_ms == 0)
            error = ETIMEDOUT;
        if (error != 0) {
            if (error == ETIMEDOUT)
                unlock(ring);
            return fail(error);
        }
        error = wait_for_change(ring, &s->got, ring->seen_got, timeout_ms, &deadline);
    }
    if (error != 0 && error != ETIMEDOUT)
        return fail(error);
    copy_in(s, at, &length, 8);
    copy_in(s, at + 8, buf, len);
    atomic_store_explicit(&s->put.count, at + cost, memory_order_release);
    unlock(ring);
    wake(ring, &s->put);
    return 0;
}

ssize_t ring_get(struct ring *ring, void *buf, size_t size, int timeout_ms)
{
    struct segment *s = ring->segment;
    struct timespec deadline;
    uint64_t length, at;
    int error;

    if (timeout_ms < -1)
        return fail(EINVAL);
    if (timeout_ms > 0)
        deadline = deadline_after(timeout_ms);
    error = lock(ring);
    if (error != 0)
        return fail(error);
    for (;;) {
        at = atomic_load_explicit(&s->got.count, memory_order_relaxed);
        if (at < ring->seen_put)
            break;
        ring->seen_put = atomic_load_explicit(&s->put.count, memory_order_acquire);
        if (at < ring->seen_put)
            break;
        if (error == 0 && timeout_ms == 0)
            error = ETIMEDOUT;
        if (error != 0) {
            if (error == ETIMEDOUT)
                unlock(ring);
            return fail(error);
        }
        error = wait_for_change(ring, &s->put, ring->seen_put, timeout_ms, &deadline);
    }
    if (error != 0 && error != ETIMEDOUT)
        return fail(error);
    copy_out(s, at, &length, 8);
    if (length > size) {
        unlock(ring);
        return fail(EMSGSIZE);
    }
    copy_out(s, at + 8, buf, length);
    atomic_store_explicit(&s->got.count, at + RING_COST(length), memory_order_release);
    unlock(ring);
    wake(ring, &s->got);
    return (ssize_t)length;
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
    struct ring r = {.backend = b};
    bool same_name = true;

    if (b == NULL || check_name(name) < 0)
        return -1;
    if (attach(&r, name) == 0) {
        same_name = strcmp(r.segment->name, name) == 0;
        b->detach(r.segment, r.size_bytes);
    } else if (errno == ENOENT) {
        return -1;
    } /* else its creator never finished it: remove it */
    return same_name ? b->remove(name) : fail(ENOENT);
}
