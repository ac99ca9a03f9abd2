/* posix_mapping.c - struct backend with POSIX shared memory (given, complete).
 *
 * shm_open creates or finds the object "/NAME", ftruncate gives a new object
 * its size, mmap maps it, shm_unlink removes its name (shm_overview(7)).
 */
#include "posix_mapping.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ring.h"

static int fail(int error)
{
    errno = error;
    return -1;
}

static void posix_path(const char *name, char path[RING_NAME_MAX + 2])
{
    path[0] = '/';
    strcpy(path + 1, name);
}

/* Maps the object and closes fd, which the mapping does not need. */
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
    if (st.st_size == 0) { /* its creator is between shm_open and ftruncate */
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

const struct backend posix_backend = {
    posix_create,
    posix_attach,
    posix_detach,
    posix_remove,
};
