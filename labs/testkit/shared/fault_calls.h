/* fault_calls.h - the calls to libc that a test can make fail.
 *
 * One name stands for its variants: FAULT_PIPE for pipe and pipe2, FAULT_FORK
 * for fork and vfork.  Each has its wrappers in puppet/wrappers.c.
 */
#ifndef FAULT_CALLS_H
#define FAULT_CALLS_H

/* clang-format off */
#define FAULT_CALL_LIST(X) \
    X(FAULT_FORK) \
    X(FAULT_EXEC) \
    X(FAULT_SPAWN) \
    X(FAULT_WAIT) \
    X(FAULT_PIPE) \
    X(FAULT_DUP) \
    X(FAULT_DUP2) \
    X(FAULT_OPEN) \
    X(FAULT_CLOSE) \
    X(FAULT_READ) \
    X(FAULT_WRITE) \
    X(FAULT_FTRUNCATE) \
    X(FAULT_MMAP) \
    X(FAULT_MUNMAP) \
    X(FAULT_SHM_OPEN) \
    X(FAULT_SHM_UNLINK) \
    X(FAULT_SEM_OPEN) \
    X(FAULT_SEM_INIT) \
    X(FAULT_SEM_WAIT) \
    X(FAULT_SEM_POST) \
    X(FAULT_MUTEX_LOCK) \
    X(FAULT_MUTEX_UNLOCK) \
    X(FAULT_COND_WAIT) \
    X(FAULT_MQ_OPEN) \
    X(FAULT_MQ_SEND) \
    X(FAULT_MQ_RECEIVE) \
    X(FAULT_MQ_UNLINK) \
    X(FAULT_SHMGET) \
    X(FAULT_SHMAT) \
    X(FAULT_SHMCTL) \
    X(FAULT_SEMGET) \
    X(FAULT_SEMOP) \
    X(FAULT_SEMCTL) \
    X(FAULT_MSGGET) \
    X(FAULT_MSGSND) \
    X(FAULT_MSGRCV)
/* clang-format on */

#define FAULT_CALL_ENUMERATOR(name) name,
enum fault_call {
    FAULT_CALL_LIST(FAULT_CALL_ENUMERATOR) FAULT_CALLS /* how many */
};

#endif
