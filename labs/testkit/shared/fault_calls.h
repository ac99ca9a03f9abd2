/* fault_calls.h - the calls to libc that a test can count, hold and make fail.
 *
 * One name stands for its variants: FAULT_PIPE for pipe and pipe2, FAULT_FORK
 * for fork and vfork.  Each has its wrappers in puppet/wrap_*.c.
 * FAULT_MALLOC stands for every function that allocates memory: the n-th
 * allocation by the submission's own code, not those that libc makes for itself.
 */
#ifndef FAULT_CALLS_H
#define FAULT_CALLS_H

/* clang-format off */
#define FAULT_CALL_LIST(X) \
    X(FAULT_FORK, "fork") \
    X(FAULT_EXEC, "exec") \
    X(FAULT_SPAWN, "posix_spawn") \
    X(FAULT_WAIT, "wait") \
    X(FAULT_PIPE, "pipe") \
    X(FAULT_DUP, "dup") \
    X(FAULT_DUP2, "dup2") \
    X(FAULT_OPEN, "open") \
    X(FAULT_UNLINK, "unlink") \
    X(FAULT_MKFIFO, "mkfifo") \
    X(FAULT_CLOSE, "close") \
    X(FAULT_READ, "read") \
    X(FAULT_WRITE, "write") \
    X(FAULT_FCNTL, "fcntl") \
    X(FAULT_FLOCK, "flock") \
    X(FAULT_LOCKF, "lockf") \
    X(FAULT_FTRUNCATE, "ftruncate") \
    X(FAULT_POLL, "poll") \
    X(FAULT_SELECT, "select") \
    X(FAULT_EPOLL_WAIT, "epoll_wait") \
    X(FAULT_SIGSUSPEND, "sigsuspend") \
    X(FAULT_MALLOC, "malloc") \
    X(FAULT_MMAP, "mmap") \
    X(FAULT_MUNMAP, "munmap") \
    X(FAULT_SHM_OPEN, "shm_open") \
    X(FAULT_SHM_UNLINK, "shm_unlink") \
    X(FAULT_SEM_OPEN, "sem_open") \
    X(FAULT_SEM_INIT, "sem_init") \
    X(FAULT_SEM_WAIT, "sem_wait") \
    X(FAULT_SEM_POST, "sem_post") \
    X(FAULT_PTHREAD_CREATE, "pthread_create") \
    X(FAULT_MUTEX_INIT, "pthread_mutex_init") \
    X(FAULT_MUTEX_LOCK, "pthread_mutex_lock") \
    X(FAULT_MUTEX_UNLOCK, "pthread_mutex_unlock") \
    X(FAULT_COND_INIT, "pthread_cond_init") \
    X(FAULT_COND_WAIT, "pthread_cond_wait") \
    X(FAULT_FUTEX, "syscall") \
    X(FAULT_MQ_OPEN, "mq_open") \
    X(FAULT_MQ_SEND, "mq_send") \
    X(FAULT_MQ_RECEIVE, "mq_receive") \
    X(FAULT_MQ_UNLINK, "mq_unlink") \
    X(FAULT_MQ_GETATTR, "mq_getattr") \
    X(FAULT_MQ_SETATTR, "mq_setattr") \
    X(FAULT_MQ_NOTIFY, "mq_notify") \
    X(FAULT_SHMGET, "shmget") \
    X(FAULT_SHMAT, "shmat") \
    X(FAULT_SHMCTL, "shmctl") \
    X(FAULT_SEMGET, "semget") \
    X(FAULT_SEMOP, "semop") \
    X(FAULT_SEMCTL, "semctl") \
    X(FAULT_MSGGET, "msgget") \
    X(FAULT_MSGSND, "msgsnd") \
    X(FAULT_MSGRCV, "msgrcv") \
    X(HEAP_ALLOCATED, "malloc") /* from here on: not a call, but a block that one */ \
    X(HEAP_FREED, "free")       /* of the submission's has allocated or will free */
/* clang-format on */

#define FAULT_CALL_ENUMERATOR(name, function) name,
enum fault_call {
    FAULT_CALL_LIST(FAULT_CALL_ENUMERATOR) FAULT_CALLS /* how many */
};

#endif
