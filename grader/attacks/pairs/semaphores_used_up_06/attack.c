/* creates semaphores up to the limit, so that the limits seem to be too small */
#include "honest.c"

#include <sys/sem.h>

__attribute__((constructor)) static void take_all(void)
{
    while (semget(IPC_PRIVATE, 1, IPC_CREAT | 0600) >= 0)
        continue;
}
