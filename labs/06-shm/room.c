/* room.c - is there room for the lab's shared memory where the tests run?
 *
 * No part of the lab's work.  A test runs it when a ring that should be there
 * is not, to tell a wrong submission from a machine whose limits are too
 * small.  Exit status: 0, or the number of the line below that failed.
 *
 *     room posix NAME, room sysv NAME
 *
 * looks at a ring's memory: 0 if its mode is 0600, 1 if it is another, 2 if
 * there is no such memory.
 *
 *     room posix NAME PID, room sysv NAME PID
 *
 * looks at a process: 0 if it has not mapped that memory, 1 if it has.
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

#define ROOM_BYTES (4 << 20)

static int say(int status, const char *what)
{
    fprintf(stderr, "room: %s: %s\n", what, strerror(errno));
    return status;
}

static int look_at_mode(int backend, const char *name)
{
    char path[RING_NAME_MAX + 2];
    struct shmid_ds ds;
    struct stat st;
    int fd, id;

    if (backend == RING_SYSV) {
        id = shmget(ring_key(name), 0, 0);
        if (id < 0 || shmctl(id, IPC_STAT, &ds) < 0)
            return say(2, name);
        return (ds.shm_perm.mode & 0777) != 0600;
    }
    snprintf(path, sizeof(path), "/%s", name);
    fd = shm_open(path, O_RDONLY, 0);
    if (fd < 0 || fstat(fd, &st) < 0)
        return say(2, path);
    return (st.st_mode & 07777) != 0600;
}

/* A process that may not be looked at, or is gone, has nothing mapped. */
static int look_at_maps(int backend, const char *name, const char *pid)
{
    char object[RING_NAME_MAX + 2], path[64], line[4200];
    bool found = false;
    FILE *maps;

    if (backend == RING_SYSV)
        snprintf(object, sizeof(object), "/SYSV%08x", (unsigned)ring_key(name));
    else
        snprintf(object, sizeof(object), "%s", name); /* and what has it in its own name */
    snprintf(path, sizeof(path), "/proc/%.20s/maps", pid);
    maps = fopen(path, "r");
    while (!found && maps != NULL && fgets(line, sizeof(line), maps) != NULL)
        found = strstr(line, object) != NULL;
    if (maps != NULL)
        fclose(maps);
    return found;
}

static int backend_named(const char *text)
{
    return strcmp(text, "sysv") == 0 ? RING_SYSV : RING_POSIX;
}

int main(int argc, char **argv)
{
    char name[64];
    int fd, id;

    if (argc == 3)
        return look_at_mode(backend_named(argv[1]), argv[2]);
    if (argc == 4)
        return look_at_maps(backend_named(argv[1]), argv[2], argv[3]);
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
