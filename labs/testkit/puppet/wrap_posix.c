/* wrap_posix.c - wrappers around POSIX shared memory, semaphores and message
 * queues (wrap.h).
 */
#include <fcntl.h>
#include <mqueue.h>
#include <semaphore.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/mman.h>

#include "wrap.h"

EXPORTED_BEGIN

WRAP(FAULT_SHM_OPEN, -1, int, shm_open, (const char *name, int flags, mode_t mode), name, flags,
     mode)
WRAP(FAULT_SHM_UNLINK, -1, int, shm_unlink, (const char *name), name)
FIND(sem_open)

sem_t *sem_open(const char *name, int flags, ...)
{
    struct decision decision = enter(FAULT_SEM_OPEN);
    mode_t mode = 0;
    unsigned value = 0;
    sem_t *semaphore;

    if (flags & O_CREAT) {
        va_list rest;

        va_start(rest, flags);
        mode = va_arg(rest, mode_t);
        value = va_arg(rest, unsigned);
        va_end(rest);
    }
    if (decision.error) {
        errno = decision.error;
        return SEM_FAILED;
    }
    semaphore = REAL(sem_open)(name, flags, mode, value);
    leave(&decision);
    return semaphore;
}

WRAP(FAULT_SEM_INIT, -1, int, sem_init, (sem_t *sem, int shared, unsigned count), sem, shared,
     count)
WRAP(FAULT_SEM_WAIT, -1, int, sem_wait, (sem_t *sem), sem)
WRAP(FAULT_SEM_WAIT, -1, int, sem_trywait, (sem_t *sem), sem)
WRAP(FAULT_SEM_WAIT, -1, int, sem_timedwait, (sem_t *sem, const struct timespec *until), sem, until)
WRAP(FAULT_SEM_WAIT, -1, int, sem_clockwait,
     (sem_t *sem, clockid_t clock, const struct timespec *until), sem, clock, until)
WRAP(FAULT_SEM_POST, -1, int, sem_post, (sem_t *sem), sem)
FIND(mq_open)

mqd_t mq_open(const char *name, int flags, ...)
{
    struct decision decision = enter(FAULT_MQ_OPEN);
    struct mq_attr *attributes = NULL;
    mode_t mode = 0;
    mqd_t queue;

    if (flags & O_CREAT) {
        va_list rest;

        va_start(rest, flags);
        mode = va_arg(rest, mode_t);
        attributes = va_arg(rest, struct mq_attr *);
        va_end(rest);
    }
    if (decision.error) {
        errno = decision.error;
        return (mqd_t)-1;
    }
    queue = REAL(mq_open)(name, flags, mode, attributes);
    leave(&decision);
    return queue;
}

WRAP(FAULT_MQ_SEND, -1, int, mq_send,
     (mqd_t queue, const char *message, size_t len, unsigned priority), queue, message, len,
     priority)
WRAP(FAULT_MQ_SEND, -1, int, mq_timedsend,
     (mqd_t queue, const char *message, size_t len, unsigned priority,
      const struct timespec *until),
     queue, message, len, priority, until)
WRAP(FAULT_MQ_RECEIVE, -1, ssize_t, mq_receive,
     (mqd_t queue, char *message, size_t len, unsigned *priority), queue, message, len, priority)
WRAP(FAULT_MQ_RECEIVE, -1, ssize_t, mq_timedreceive,
     (mqd_t queue, char *message, size_t len, unsigned *priority, const struct timespec *until),
     queue, message, len, priority, until)
WRAP(FAULT_MQ_UNLINK, -1, int, mq_unlink, (const char *name), name)
WRAP(FAULT_MQ_GETATTR, -1, int, mq_getattr, (mqd_t queue, struct mq_attr *attributes), queue,
     attributes)
WRAP(FAULT_MQ_SETATTR, -1, int, mq_setattr,
     (mqd_t queue, const struct mq_attr *attributes, struct mq_attr *before), queue, attributes,
     before)
WRAP(FAULT_MQ_NOTIFY, -1, int, mq_notify, (mqd_t queue, const struct sigevent *event), queue, event)

EXPORTED_END
