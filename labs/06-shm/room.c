/* room.c - is there room for the lab's shared memory where the tests run?
 *
 * No part of the lab's work.  A test runs it when a ring that should be there
 * is not, to tell a wrong submission from a machine whose limits are too
 * small.  Exit status: 0, or the number of the line below that failed.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <unistd.h>

#define ROOM_BYTES (4 << 20)

static int say(int status, const char *what)
{
    fprintf(stderr, "room: %s: %s\n", what, strerror(errno));
    return status;
}

int main(void)
{
    char name[64];
    int fd, id;

    snprintf(name, sizeof(name), "/room-%d", (int)getpid());
    fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
    if (fd < 0)
        return say(1, "shm_open");
    shm_unlink(name);
    errno = posix_fallocate(fd, 0, ROOM_BYTES);
    if (errno != 0)
        return say(2, "posix_fallocate");
    if (mmap(NULL, ROOM_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0) == MAP_FAILED)
        return say(3, "mmap");

    id = shmget(IPC_PRIVATE, ROOM_BYTES, 0600);
    if (id < 0)
        return say(4, "shmget");
    shmctl(id, IPC_RMID, NULL);
    id = semget(IPC_PRIVATE, 4, 0600);
    if (id < 0)
        return say(5, "semget");
    semctl(id, 0, IPC_RMID);
    return 0;
}
