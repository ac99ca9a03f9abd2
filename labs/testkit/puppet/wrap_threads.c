/* wrap_threads.c - wrappers around threads, mutexes, condition variables and
 * futexes (wrap.h).
 */
#include <pthread.h>
#include <stdarg.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "wrap.h"

EXPORTED_BEGIN

WRAP_VALUE(FAULT_PTHREAD_CREATE, pthread_create,
           (pthread_t * thread, const pthread_attr_t *attributes, void *(*start)(void *),
            void *argument),
           thread, attributes, start, argument)
WRAP_VALUE(FAULT_MUTEX_INIT, pthread_mutex_init,
           (pthread_mutex_t *mutex, const pthread_mutexattr_t *attributes), mutex, attributes)
WRAP_VALUE(FAULT_COND_INIT, pthread_cond_init,
           (pthread_cond_t *cond, const pthread_condattr_t *attributes), cond, attributes)

WRAP_VALUE(FAULT_MUTEX_LOCK, pthread_mutex_lock, (pthread_mutex_t *mutex), mutex)
WRAP_VALUE(FAULT_MUTEX_LOCK, pthread_mutex_trylock, (pthread_mutex_t *mutex), mutex)
WRAP_VALUE(FAULT_MUTEX_LOCK, pthread_mutex_timedlock,
           (pthread_mutex_t *mutex, const struct timespec *until), mutex, until)
WRAP_VALUE(FAULT_MUTEX_LOCK, pthread_mutex_clocklock,
           (pthread_mutex_t *mutex, clockid_t clock, const struct timespec *until), mutex, clock,
           until)
WRAP_VALUE(FAULT_MUTEX_UNLOCK, pthread_mutex_unlock, (pthread_mutex_t *mutex), mutex)
WRAP_VALUE(FAULT_COND_WAIT, pthread_cond_wait, (pthread_cond_t *cond, pthread_mutex_t *mutex), cond,
           mutex)
WRAP_VALUE(FAULT_COND_WAIT, pthread_cond_timedwait,
           (pthread_cond_t *cond, pthread_mutex_t *mutex, const struct timespec *until), cond,
           mutex, until)
WRAP_VALUE(FAULT_COND_WAIT, pthread_cond_clockwait,
           (pthread_cond_t *cond, pthread_mutex_t *mutex, clockid_t clock,
            const struct timespec *until),
           cond, mutex, clock, until)

/* futex() has no function in libc.  Other system calls do not ask. */
FIND(syscall)
long syscall(long number, ...)
{
    struct decision decision = {0};
    long words[6], value;
    va_list rest;

    va_start(rest, number);
    for (int i = 0; i < 6; i++)
        words[i] = va_arg(rest, long);
    va_end(rest);
    if (number == SYS_futex)
        decision = enter(FAULT_FUTEX);
    if (decision.error) {
        errno = decision.error;
        return -1;
    }
    value = REAL(syscall)(number, words[0], words[1], words[2], words[3], words[4], words[5]);
    leave(&decision);
    return value;
}

EXPORTED_END
