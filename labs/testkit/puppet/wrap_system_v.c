/* wrap_system_v.c - wrappers around System V shared memory, semaphores and
 * message queues (wrap.h).
 */
#include <stdarg.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>

#include "wrap.h"

EXPORTED_BEGIN

WRAP(FAULT_SHMGET, -1, int, shmget, (key_t key, size_t size, int flags), key, size, flags)
FIND(shmat)

void *shmat(int id, const void *at, int flags)
{
    struct decision decision = enter(FAULT_SHMAT);
    void *value = (void *)-1;

    if (decision.error) {
        errno = decision.error;
        return value;
    }
    if (!at && decision.address)
        value = REAL(shmat)(id, decision.address, flags);
    if (value == (void *)-1)
        value = REAL(shmat)(id, at, flags);
    leave(&decision);
    return value;
}

WRAP(FAULT_SHMCTL, -1, int, shmctl, (int id, int command, struct shmid_ds *buf), id, command, buf)
WRAP(FAULT_SEMGET, -1, int, semget, (key_t key, int nsems, int flags), key, nsems, flags)
WRAP(FAULT_SEMOP, -1, int, semop, (int id, struct sembuf *operations, size_t n), id, operations, n)
WRAP(FAULT_SEMOP, -1, int, semtimedop,
     (int id, struct sembuf *operations, size_t n, const struct timespec *limit), id, operations, n,
     limit)
FIND(semctl)

int semctl(int id, int number, int command, ...)
{
    struct decision decision = enter(FAULT_SEMCTL);
    va_list rest;
    void *argument; /* union semun: an int or a pointer, one word */
    int value;

    va_start(rest, command);
    argument = va_arg(rest, void *);
    va_end(rest);
    if (decision.error) {
        errno = decision.error;
        return -1;
    }
    value = REAL(semctl)(id, number, command, argument);
    leave(&decision);
    return value;
}

WRAP(FAULT_MSGGET, -1, int, msgget, (key_t key, int flags), key, flags)
WRAP(FAULT_MSGSND, -1, int, msgsnd, (int id, const void *message, size_t len, int flags), id,
     message, len, flags)
WRAP(FAULT_MSGRCV, -1, ssize_t, msgrcv, (int id, void *message, size_t len, long type, int flags),
     id, message, len, type, flags)

EXPORTED_END
