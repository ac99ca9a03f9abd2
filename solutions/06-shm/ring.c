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
#ifdef SOLUTION
    pthread_mutex_t lock; /* robust; guards head, tail and data */
    pthread_cond_t put, got;
    uint64_t head, tail;
#else
    /* TODO(06-shm): a lock, something to sleep on, head and tail. */
#endif
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
    return errno == EINVAL || errno == EIDRM ? fail(ENOENT) : -1; /* removed meanwhile */
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
/* TODO(06-shm): the four functions of struct backend with shmget, shmat,
 * shmdt and shmctl, and ring_key() for the key. */
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
/* ---- lock and sleep --------------------------------------------------------- */

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
        error = pthread_cond_init(&s->put, &cond);
    if (error == 0)
        error = pthread_cond_init(&s->got, &cond);
    pthread_condattr_destroy(&cond);
    return error;
}

/* Takes over from an owner that died.  head and tail each change in one store,
 * at the very end of a put or get, so there is nothing to mend; only whoever
 * the dead process would have woken has to look again. */
static int owned(struct segment *s, int error)
{
    if (error != EOWNERDEAD)
        return error;
    pthread_cond_broadcast(&s->put);
    pthread_cond_broadcast(&s->got);
    return pthread_mutex_consistent(&s->lock);
}

static int lock(struct segment *s)
{
    return owned(s, pthread_mutex_lock(&s->lock));
}

static void unlock(struct segment *s)
{
    pthread_mutex_unlock(&s->lock);
}

static struct timespec after_ms(int timeout_ms)
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

/* Sleeps, the lock given away meanwhile.  May also return 0 for nothing. */
static int sleep_on(struct segment *s, pthread_cond_t *cond, int timeout_ms,
                    const struct timespec *until)
{
    if (timeout_ms == 0)
        return ETIMEDOUT;
    if (timeout_ms < 0)
        return owned(s, pthread_cond_wait(cond, &s->lock));
    return owned(s, pthread_cond_timedwait(cond, &s->lock, until));
}

/* ---- bytes of the ring -------------------------------------------------------- */

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

static uint64_t room(const struct segment *s)
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
    atomic_store(&s->ready, READY); /* last: the others may look from now on */
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

/* Called between two looks at a ring that is still being made. */
static int look_again(unsigned *looks)
{
    const struct timespec pause = {.tv_nsec = 1000000};

    if (++*looks > 1000)
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

/* Gives EAGAIN if the ring is there and not ready. */
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
    unsigned belongs = flags & (RING_SPSC | RING_SPIN);
    unsigned looks = 0;
    int error;

    for (;;) {
        if (flags & RING_CREATE) {
            if (create(r, name, capacity_bytes, belongs) == 0)
                return 0;
            if (errno != EEXIST || flags & RING_EXCL)
                return -1;
        }
        if (attach(r, name) == 0)
            break;
        if (errno != EAGAIN && !(errno == ENOENT && flags & RING_CREATE))
            return -1;
        if (look_again(&looks) < 0)
            return -1;
    }
    if (check_segment(r->segment, r->size_bytes, name, capacity_bytes, belongs) == 0)
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
#endif
}

int ring_put(struct ring *ring, const void *buf, size_t len, int timeout_ms)
{
#ifdef SOLUTION
    struct segment *s = ring->segment;
    struct timespec until = after_ms(timeout_ms > 0 ? timeout_ms : 0);
    uint64_t length = len;
    int error;

    if (timeout_ms < -1)
        return fail(EINVAL);
    if (len > s->capacity - 8) /* first, or RING_COST may overflow */
        return fail(EMSGSIZE);
    error = lock(s);
    if (error != 0)
        return fail(error);
    while (room(s) < RING_COST(len) && error == 0)
        error = sleep_on(s, &s->got, timeout_ms, &until);
    if (room(s) < RING_COST(len)) {
        unlock(s);
        return fail(error);
    }
    copy_in(s, s->head, &length, 8);
    copy_in(s, s->head + 8, buf, len);
    s->head += RING_COST(len); /* from here on the message is there */
    pthread_cond_broadcast(&s->put);
    unlock(s);
    return 0;
#else
    /* TODO(06-shm): wait for room, copy, wake. */
    (void)ring, (void)buf, (void)len, (void)timeout_ms;
    return fail(ENOSYS);
#endif
}

ssize_t ring_get(struct ring *ring, void *buf, size_t size, int timeout_ms)
{
#ifdef SOLUTION
    struct segment *s = ring->segment;
    struct timespec until = after_ms(timeout_ms > 0 ? timeout_ms : 0);
    uint64_t length;
    int error;

    if (timeout_ms < -1)
        return fail(EINVAL);
    error = lock(s);
    if (error != 0)
        return fail(error);
    while (s->head == s->tail && error == 0)
        error = sleep_on(s, &s->put, timeout_ms, &until);
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
    s->tail += RING_COST(length); /* from here on the message is gone */
    pthread_cond_broadcast(&s->got);
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
    bool mine = true;
#endif

    if (b == NULL || check_name(name) < 0)
        return -1;
#ifdef SOLUTION
    if (attach(&r, name) == 0) {
        mine = strcmp(r.segment->name, name) == 0;
        b->detach(r.segment, r.size_bytes);
    } else if (errno == ENOENT) {
        return -1;
    } /* else one that its maker never finished: let it go */
    return mine ? b->remove(name) : fail(ENOENT);
#else
    return b->remove(name);
#endif
}
