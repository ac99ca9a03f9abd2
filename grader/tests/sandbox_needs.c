/* sandbox_needs.c - uses what programs of the labs need, for test_sandbox.py:
 * a sandbox must permit all of it.  Exits with 0, or prints what failed.
 */
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static void check(const char *what, int ok)
{
    if (ok)
        return;
    printf("%s: %s\n", what, strerror(errno));
    exit(1);
}

static void use_posix_objects(const char *name)
{
    struct mq_attr attributes = {.mq_maxmsg = 2, .mq_msgsize = 16};
    mqd_t queue = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attributes);
    int shm = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);
    sem_t *sem = sem_open(name, O_CREAT | O_EXCL, 0600, 1);

    check("mq_open", queue >= 0 && mq_send(queue, "x", 1, 0) == 0);
    check("mq_open again", mq_close(mq_open(name, O_RDONLY)) == 0);
    check("mq_unlink", mq_unlink(name) == 0);
    check("shm_open", shm >= 0 && ftruncate(shm, 4096) == 0);
    check("mmap", mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, shm, 0) != MAP_FAILED);
    check("shm_unlink", shm_unlink(name) == 0);
    check("sem_open", sem != SEM_FAILED && sem_wait(sem) == 0 && sem_unlink(name) == 0);
}

static void use_system_v_objects(void)
{
    int shm = shmget(IPC_PRIVATE, 4096, 0600);
    int sem = semget(IPC_PRIVATE, 1, 0600);
    int msg = msgget(IPC_PRIVATE, 0600);

    check("shmat", shmat(shm, NULL, 0) != (void *)-1 && shmctl(shm, IPC_RMID, NULL) == 0);
    check("semctl", semctl(sem, 0, IPC_RMID) == 0);
    check("msgctl", msgctl(msg, IPC_RMID, NULL) == 0);
}

static void use_files(void)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "socket"};
    struct sockaddr_un abstract = {.sun_family = AF_UNIX, .sun_path = "\0labkit-needs"};
    int server = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0);
    int hidden = socket(AF_UNIX, SOCK_STREAM, 0), caller = socket(AF_UNIX, SOCK_STREAM, 0);
    int memory = memfd_create("memory", 0);
    char path[64];

    check("chdir", chdir(getenv("TMPDIR")) == 0);
    check("mkfifo", mkfifo("fifo", 0600) == 0 && open("fifo", O_RDWR) >= 0);
    check("bind", bind(server, (void *)&address, sizeof address) == 0 && listen(server, 1) == 0);
    check("connect", connect(client, (void *)&address, sizeof address) == 0);
    check("abstract", bind(hidden, (void *)&abstract, sizeof abstract) == 0 &&
                          listen(hidden, 1) == 0 &&
                          connect(caller, (void *)&abstract, sizeof abstract) == 0);
    check("mkdir",
          mkdir("a", 0700) == 0 && mkdir("b", 0700) == 0 && close(creat("a/x", 0600)) == 0);
    check("rename", rename("a/x", "b/x") == 0 && link("b/x", "a/y") == 0);
    check("truncate",
          truncate("b/x", 10) == 0 && symlink("b/x", "z") == 0 && chmod("z", 0400) == 0);
    snprintf(path, sizeof path, "/proc/self/fd/%d", memory);
    check("reopened memfd", open(path, O_RDWR) >= 0);
    check("/proc/self/maps", open("/proc/self/maps", O_RDONLY) >= 0);
    check("/proc/sysvipc", open("/proc/sysvipc/shm", O_RDONLY) >= 0);
    check("/dev/null", open("/dev/null", O_RDWR) >= 0 && open("/dev/zero", O_RDONLY) >= 0);
}

int main(void)
{
    char name[32];

    snprintf(name, sizeof name, "/labkit-needs-%d", (int)getuid() + (int)getpid());
    use_posix_objects(name);
    use_system_v_objects();
    use_files();
    return 0;
}
