/* shm_inspect.c - inspects the shared memory of the machine that tests run on.
 *
 * Not part of the lab's work: the tests run it in the sandbox of the puppets before
 * the first call, to tell a wrong submission from a machine whose limits are too
 * small.  Exit status: 0, or the number of the system call below that failed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <unistd.h>

#define NEEDED_BYTES (4 << 20)

static int fail(int status, const char *what)
{
    fprintf(stderr, "shm_inspect: %s: %s\n", what, strerror(errno));
    return status;
}

int main(void)
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
