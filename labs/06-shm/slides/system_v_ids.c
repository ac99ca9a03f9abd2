/* From a slide on "POSIX shared memory": the child gets the id from its
 * parent, opens it with shmget, and detaches with shmdt(id). */
#include <stdint.h>
#include <stdio.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
    int id = shmget(IPC_PRIVATE, 4096, IPC_CREAT | 0600);

    if (fork() == 0) {
        int child_id = shmget(id, 4096, 0600);
        void *p = shmat(child_id, NULL, 0);

        if (child_id < 0)
            perror("shmget(id)");
        if (p == (void *)-1)
            perror("shmat");
        if (shmdt((void *)(intptr_t)id) < 0)
            perror("shmdt(id)");
        _exit(0);
    }
    wait(NULL);
    shmctl(id, IPC_RMID, NULL);
    return 0;
}
