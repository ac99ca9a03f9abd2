/* Accepted: one lock at the door, one condition variable, copies outside.
 *
 * Opening and destroying are done under a lock on the folder /dev/shm, which
 * the kernel gives back for a process that dies: so nobody ever sees a ring
 * that is being made.  A message is put together and taken apart in memory of
 * the process, so that the caller's buffer is never touched with the ring's
 * robust mutex held; what a dead process had taken out is gone.  All who wait
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
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

struct segment {
    uint32_t flags;
    uint64_t capacity;
    char name[RING_NAME_MAX + 1];
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    uint64_t first, used; /* where the oldest byte lies, how many there are */
    unsigned char data[];
};

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

/* ---- POSIX shared memory ----------------------------------------------------- */

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

/* ---- the door -------------------------------------------------------------------- */

static int enter_door(void)
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

static void leave_door(int fd)
{
    int error = errno;

    close(fd);
    errno = error;
}

/* ---- lock and sleep ---------------------------------------------------------------- */

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

static bool locked(struct segment *s, int error)
{
    if (error == EOWNERDEAD)
        error = pthread_mutex_consistent(&s->mutex);
    errno = error;
    return error == 0;
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

/* One look after the other, until ready() or the time is up; with the lock. */
static bool wait_until(struct segment *s, bool (*ready)(const struct segment *, size_t),
                       size_t cost, int timeout_ms)
{
    struct timespec until = after_ms(timeout_ms > 0 ? timeout_ms : 0);
    int error = timeout_ms == 0 ? ETIMEDOUT : 0;

    while (!ready(s, cost) && error == 0) {
        error = timeout_ms < 0 ? pthread_cond_wait(&s->changed, &s->mutex)
                               : pthread_cond_timedwait(&s->changed, &s->mutex, &until);
        if (error == EOWNERDEAD)
            error = pthread_mutex_consistent(&s->mutex);
    }
    if (ready(s, cost))
        return true;
    pthread_mutex_unlock(&s->mutex);
    errno = error;
    return false;
}

static bool has_room(const struct segment *s, size_t cost)
{
    return s->capacity - s->used >= cost;
}

static bool has_message(const struct segment *s, size_t cost)
{
    (void)cost;
    return s->used > 0;
}

static void changed(struct segment *s)
{
    pthread_cond_broadcast(&s->changed);
    pthread_mutex_unlock(&s->mutex);
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

/* ---- the contract ------------------------------------------------------------------ */

static int make(struct ring *r, const char *name, size_t capacity_bytes, unsigned flags)
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

/* Behind the door: make it, or open what is there. */
static int enter(struct ring *r, const char *name, size_t capacity_bytes, unsigned flags)
{
    unsigned belongs = flags & (RING_SPSC | RING_SPIN);
    void *base;
    int error = 0;

    if (flags & RING_CREATE) {
        if (make(r, name, capacity_bytes, belongs) == 0)
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
    else if (r->segment->capacity != capacity_bytes || r->segment->flags != belongs)
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
    int door, error;

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
    door = enter_door();
    if (door < 0) {
        error = errno;
    } else {
        error = enter(r, name, capacity_bytes, flags) < 0 ? errno : 0;
        leave_door(door);
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
    unsigned char *whole;

    if (timeout_ms < -1)
        return fail(EINVAL);
    if (len > s->capacity - 8)
        return fail(EMSGSIZE);
    whole = calloc(1, RING_COST(len));
    if (whole == NULL)
        return -1;
    memcpy(whole, &length, 8);
    if (len > 0)
        memcpy(whole + 8, buf, len);

    if (!locked(s, pthread_mutex_lock(&s->mutex)) ||
        !wait_until(s, has_room, RING_COST(len), timeout_ms)) {
        int error = errno;

        free(whole);
        return fail(error);
    }
    copy_in(s, s->first + s->used, whole, RING_COST(len));
    s->used += RING_COST(len);
    changed(s);
    free(whole);
    return 0;
}

ssize_t ring_get(struct ring *ring, void *buf, size_t size, int timeout_ms)
{
    struct segment *s = ring->segment;
    unsigned char *message;
    uint64_t length;

    if (timeout_ms < -1)
        return fail(EINVAL);
    if (!locked(s, pthread_mutex_lock(&s->mutex)) || !wait_until(s, has_message, 0, timeout_ms))
        return -1;
    copy_out(s, s->first, &length, 8);
    if (length > size) {
        changed(s); /* for another who has a larger buffer */
        return fail(EMSGSIZE);
    }
    message = malloc(length + 1);
    if (message == NULL) {
        changed(s);
        return fail(ENOMEM);
    }
    copy_out(s, s->first + 8, message, length);
    s->first = (s->first + RING_COST(length)) % s->capacity;
    s->used -= RING_COST(length);
    changed(s);
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
    int door, result;

    if (b == NULL || check_name(name) < 0)
        return -1;
    door = enter_door();
    if (door < 0)
        return -1;
    result = b->attach(name, &base, &size_bytes);
    if (result == 0) {
        bool mine = strcmp(((struct segment *)base)->name, name) == 0;

        b->detach(base, size_bytes);
        result = mine ? b->remove(name) : fail(ENOENT);
    }
    leave_door(door);
    return result;
}
