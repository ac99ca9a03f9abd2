/* fault_calls.h - the calls of a submission that a plan can make fail.
 *
 * One name stands for its variants: FAULT_PIPE for pipe and pipe2, FAULT_FORK
 * for fork and vfork.  Each has its wrappers in faults.c.
 */
#ifndef FAULT_CALLS_H
#define FAULT_CALLS_H

enum fault_call {
    FAULT_FORK,
    FAULT_EXEC,
    FAULT_SPAWN,
    FAULT_WAIT,
    FAULT_PIPE,
    FAULT_DUP,
    FAULT_DUP2,
    FAULT_OPEN,
    FAULT_CLOSE,
    FAULT_READ,
    FAULT_WRITE,
    FAULT_FTRUNCATE,
    FAULT_MMAP,
    FAULT_MUNMAP,
    FAULT_SHM_OPEN,
    FAULT_SHM_UNLINK,
    FAULT_SEM_OPEN,
    FAULT_SEM_INIT,
    FAULT_SEM_WAIT,
    FAULT_SEM_POST,
    FAULT_MUTEX_LOCK,
    FAULT_MUTEX_UNLOCK,
    FAULT_COND_WAIT,
    FAULT_MQ_OPEN,
    FAULT_MQ_SEND,
    FAULT_MQ_RECEIVE,
    FAULT_MQ_UNLINK,
    FAULT_SHMGET,
    FAULT_SHMAT,
    FAULT_SHMCTL,
    FAULT_SEMGET,
    FAULT_SEMOP,
    FAULT_SEMCTL,
    FAULT_MSGGET,
    FAULT_MSGSND,
    FAULT_MSGRCV,
    FAULT_CALLS /* how many */
};

#endif
