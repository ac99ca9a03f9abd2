/* Accepted: ring_open and ring_destroy under one lock, one condition variable,
 * copies outside the critical section.
 *
 * ring_open and ring_destroy hold a lock on the directory /dev/shm, which the
 * kernel releases when its holder dies, so that no process ever sees a ring
 * that is being created.  A message is assembled and taken apart in private
 * memory: the caller's buffer is never touched with the ring's robust mutex
 * held, and a message that a dead process had taken out is gone.  All waiters
 * sleep on one condition variable.
 */
#define _GNU_SOURCE
#include "ring.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/shm.h>
#include <time.h>
#include <unistd.h>

#include "posix_mapping.h"

struct segment {
    uint32_t flags;
    uint64_t capacity;
    char name[RING_NAME_MAX + 1];
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    uint64_t first, used; /* offset of the oldest byte, bytes in use */
    unsigned char data[];
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

/* ---- the lock of ring_open and ring_destroy --------------------------------------- */

static int lock_directory(void)
{
    int fd = open("/dev/shm", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int error;

    if (fd < 0)
        return -1;
    while (flock(fd, LOCK_EX) < 0) {
        if (errno == EINTR)
            continue;
        error = errno;
        close(fd);
        return fail(error);
    }
    return fd;
}

static void unlock_directory(int fd)
{
    int error = errno;

    close(fd);
    errno = error;
}

/* ---- locking and waiting ---------------------------------------------------------------- */

static int init_segment(struct segment *s, const char *name, size_t capacity_bytes, unsigned flags)
{
    pthread_mutexattr_t mutex;
    pthread_condattr_t cond;
    int error;

    s->capacity = capacity_bytes;
    s->flags = flags;
    strcpy(s->name, name);
    pthread_mutexattr_init(&mutex);
    pthread_mutexattr_setpshared(&mutex, PTHREAD_PROCESS_SHARED);
    pthread_mutexattr_setrobust(&mutex, PTHREAD_MUTEX_ROBUST);
    error = pthread_mutex_init(&s->mutex, &mutex);
    pthread_mutexattr_destroy(&mutex);
    if (error != 0)
        return fail(error);
    pthread_condattr_init(&cond);
    pthread_condattr_setpshared(&cond, PTHREAD_PROCESS_SHARED);
    pthread_condattr_setclock(&cond, CLOCK_MONOTONIC);
    error = pthread_cond_init(&s->changed, &cond);
    pthread_condattr_destroy(&cond);
    return error != 0 ? fail(error) : 0;
}

static bool finish_lock(struct segment *s, int error)
{
    if (error == EOWNERDEAD)
        error = pthread_mutex_consistent(&s->mutex);
    errno = error;
    return error == 0;
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

/* Called with the lock: waits until ready() or the deadline. */
static bool wait_until(struct segment *s, bool (*ready)(const struct segment *, size_t),
                       size_t cost, int timeout_ms)
{
    struct timespec deadline = deadline_after(timeout_ms > 0 ? timeout_ms : 0);
    int error = timeout_ms == 0 ? ETIMEDOUT : 0;

    while (!ready(s, cost) && error == 0) {
        error = timeout_ms < 0 ? pthread_cond_wait(&s->changed, &s->mutex)
                               : pthread_cond_timedwait(&s->changed, &s->mutex, &deadline);
        if (error == EOWNERDEAD)
            error = pthread_mutex_consistent(&s->mutex);
    }
    if (ready(s, cost))
        return true;
    pthread_mutex_unlock(&s->mutex);
    errno = error;
    return false;
}

static bool has_space(const struct segment *s, size_t cost)
{
    return s->capacity - s->used >= cost;
}

static bool has_message(const struct segment *s, size_t cost)
{
    (void)cost;
    return s->used > 0;
}

static void broadcast_and_unlock(struct segment *s)
{
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->mutex);
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

/* ---- the contract ------------------------------------------------------------------ */

static int create(struct ring *r, const char *name, size_t capacity_bytes, unsigned flags)
{
    void *base;
    int error;

    r->size_bytes = sizeof(struct segment) + capacity_bytes;
    if (r->backend->create(name, r->size_bytes, &base) < 0)
        return -1;
    r->segment = base;
    if (init_segment(base, name, capacity_bytes, flags) == 0)
        return 0;
    error = errno;
    r->backend->detach(base, r->size_bytes);
    r->backend->remove(name);
    return fail(error);
}

/* Called with the directory locked: creates the ring or opens the existing one. */
static int create_or_open(struct ring *r, const char *name, size_t capacity_bytes, unsigned flags)
{
    unsigned ring_flags = flags & (RING_SPSC | RING_SPIN);
    void *base;
    int error = 0;

    if (flags & RING_CREATE) {
        if (create(r, name, capacity_bytes, ring_flags) == 0)
            return 0;
        if (errno != EEXIST || flags & RING_EXCL)
            return -1;
    }
    if (r->backend->attach(name, &base, &r->size_bytes) < 0)
        return -1;
    r->segment = base;
    if (r->size_bytes < sizeof(struct segment))
        error = EINVAL;
    else if (strcmp(r->segment->name, name) != 0)
        error = EEXIST;
    else if (r->segment->capacity != capacity_bytes || r->segment->flags != ring_flags)
        error = EINVAL;
    if (error == 0)
        return 0;
    r->backend->detach(base, r->size_bytes);
    return fail(error);
}

struct ring *ring_open(const char *name, int backend, size_t capacity_bytes, unsigned flags)
{
    const unsigned known = RING_CREATE | RING_EXCL | RING_SPSC | RING_SPIN;
    const struct backend *b = backend_of(backend);
    struct ring *r;
    int directory_fd, error;

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
    directory_fd = lock_directory();
    if (directory_fd < 0) {
        error = errno;
    } else {
        error = create_or_open(r, name, capacity_bytes, flags) < 0 ? errno : 0;
        unlock_directory(directory_fd);
    }
    if (error == 0)
        return r;
    free(r);
    errno = error;
    return NULL;
}

int ring_put(struct ring *ring, const void *buf, size_t len, int timeout_ms)
{
    struct segment *s = ring->segment;
    uint64_t length = len;
    unsigned char *message;

    if (timeout_ms < -1)
        return fail(EINVAL);
    if (len > s->capacity - 8)
        return fail(EMSGSIZE);
    message = calloc(1, RING_COST(len));
    if (message == NULL)
        return -1;
    memcpy(message, &length, 8);
    if (len > 0)
        memcpy(message + 8, buf, len);

    if (!finish_lock(s, pthread_mutex_lock(&s->mutex)) ||
        !wait_until(s, has_space, RING_COST(len), timeout_ms)) {
        int error = errno;

        free(message);
        return fail(error);
    }
    copy_in(s, s->first + s->used, message, RING_COST(len));
    s->used += RING_COST(len);
    broadcast_and_unlock(s);
    free(message);
    return 0;
}

ssize_t ring_get(struct ring *ring, void *buf, size_t size, int timeout_ms)
{
    struct segment *s = ring->segment;
    unsigned char *message;
    uint64_t length;

    if (timeout_ms < -1)
        return fail(EINVAL);
    if (!finish_lock(s, pthread_mutex_lock(&s->mutex)) ||
        !wait_until(s, has_message, 0, timeout_ms))
        return -1;
    copy_out(s, s->first, &length, 8);
    if (length > size) {
        broadcast_and_unlock(s); /* for a consumer with a larger buffer */
        return fail(EMSGSIZE);
    }
    message = malloc(length + 1);
    if (message == NULL) {
        broadcast_and_unlock(s);
        return fail(ENOMEM);
    }
    copy_out(s, s->first + 8, message, length);
    s->first = (s->first + RING_COST(length)) % s->capacity;
    s->used -= RING_COST(length);
    broadcast_and_unlock(s);
    if (length > 0)
        memcpy(buf, message, length);
    free(message);
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
    size_t size_bytes;
    void *base;
    int directory_fd, result;

    if (b == NULL || check_name(name) < 0)
        return -1;
    directory_fd = lock_directory();
    if (directory_fd < 0)
        return -1;
    result = b->attach(name, &base, &size_bytes);
    if (result == 0) {
        bool same_name = strcmp(((struct segment *)base)->name, name) == 0;

        b->detach(base, size_bytes);
        result = same_name ? b->remove(name) : fail(ENOENT);
    }
    unlock_directory(directory_fd);
    return result;
}
