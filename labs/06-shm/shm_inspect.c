/* shm_inspect.c - inspects the shared memory of the machine that tests run on.
 *
 * Not part of the lab's work: the tests run it in the sandbox of the puppets.
 *
 *     shm_inspect limits
 *
 * tells a wrong submission from a machine whose limits are too small.  Exit
 * status: 0, or the number of the system call below that failed.
 *
 *     shm_inspect mode posix|sysv NAME
 *
 * Exit status: 0 if the memory of that ring has mode 0600, 1 if it has another
 * mode, 2 if there is no such memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ring.h"

#define NEEDED_BYTES (4 << 20)

static int fail(int status, const char *what)
{
    fprintf(stderr, "shm_inspect: %s: %s\n", what, strerror(errno));
    return status;
}

static int inspect_limits(void)
{
    char name[64];
    int fd, id;

    snprintf(name, sizeof(name), "/shm_inspect-%d", (int)getpid());
    fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
    if (fd < 0)
        return fail(1, "shm_open");
    shm_unlink(name);
    errno = posix_fallocate(fd, 0, NEEDED_BYTES);
    if (errno != 0)
        return fail(2, "posix_fallocate");
    if (mmap(NULL, NEEDED_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED)
        return fail(3, "mmap");

    id = shmget(IPC_PRIVATE, NEEDED_BYTES, 0600);
    if (id < 0)
        return fail(4, "shmget");
    shmctl(id, IPC_RMID, NULL);
    id = semget(IPC_PRIVATE, 4, 0600);
    if (id < 0)
        return fail(5, "semget");
    semctl(id, 0, IPC_RMID);
    return 0;
}

static int inspect_mode(int backend, const char *name)
{
    char path[RING_NAME_MAX + 2];
    struct shmid_ds ds;
    struct stat st;
    int fd, id;

    if (backend == RING_SYSV) {
        id = shmget(ring_key(name), 0, 0);
        if (id < 0 || shmctl(id, IPC_STAT, &ds) < 0)
            return fail(2, name);
        return (ds.shm_perm.mode & 0777) != 0600;
    }
    snprintf(path, sizeof(path), "/%s", name);
    fd = shm_open(path, O_RDONLY, 0);
    if (fd < 0 || fstat(fd, &st) < 0)
        return fail(2, path);
    return (st.st_mode & 07777) != 0600;
}

static int backend_named(const char *text)
{
    return strcmp(text, "sysv") == 0 ? RING_SYSV : RING_POSIX;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "limits") == 0)
        return inspect_limits();
    if (argc == 4 && strcmp(argv[1], "mode") == 0)
        return inspect_mode(backend_named(argv[2]), argv[3]);
    fprintf(stderr, "usage: shm_inspect limits | mode BACKEND NAME\n");
    return 64;
}
