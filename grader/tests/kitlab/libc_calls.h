/* libc_calls.h - calls to libc that the kit's own tests let a submission make. */
#ifndef LIBC_CALLS_H
#define LIBC_CALLS_H

#include <stddef.h>

/* Function of libc, and the fault that stands for it. */
/* clang-format off */
#define LIBC_CALLS(X) \
    X(malloc, FAULT_MALLOC) \
    X(calloc, FAULT_MALLOC) \
    X(realloc, FAULT_MALLOC) \
    X(reallocarray, FAULT_MALLOC) \
    X(aligned_alloc, FAULT_MALLOC) \
    X(memalign, FAULT_MALLOC) \
    X(posix_memalign, FAULT_MALLOC) \
    X(strdup, FAULT_MALLOC) \
    X(strndup, FAULT_MALLOC) \
    X(poll, FAULT_POLL) \
    X(ppoll, FAULT_POLL) \
    X(select, FAULT_SELECT) \
    X(pselect, FAULT_SELECT) \
    X(epoll_wait, FAULT_EPOLL_WAIT) \
    X(epoll_pwait, FAULT_EPOLL_WAIT) \
    X(sigsuspend, FAULT_SIGSUSPEND) \
    X(mkfifo, FAULT_MKFIFO) \
    X(mkfifoat, FAULT_MKFIFO) \
    X(unlink, FAULT_UNLINK) \
    X(unlinkat, FAULT_UNLINK) \
    X(remove, FAULT_UNLINK) \
    X(openat, FAULT_OPEN) \
    X(creat, FAULT_OPEN) \
    X(fcntl, FAULT_FCNTL) \
    X(flock, FAULT_FLOCK) \
    X(lockf, FAULT_LOCKF) \
    X(readv, FAULT_READ) \
    X(writev, FAULT_WRITE) \
    X(mq_getattr, FAULT_MQ_GETATTR) \
    X(mq_setattr, FAULT_MQ_SETATTR) \
    X(mq_notify, FAULT_MQ_NOTIFY) \
    X(pthread_mutex_init, FAULT_MUTEX_INIT) \
    X(pthread_cond_init, FAULT_COND_INIT) \
    X(pthread_create, FAULT_PTHREAD_CREATE) \
    X(syscall, FAULT_FUTEX)
/* clang-format on */

#define LIBC_CALL_ENUMERATOR(function, fault) CALL_##function,
enum libc_call { LIBC_CALLS(LIBC_CALL_ENUMERATOR) NUMBER_OF_LIBC_CALLS };

enum place { IN_THE_PUPPET, IN_A_CHILD, IN_A_THREAD, NUMBER_OF_PLACES };

/* Makes one call of this function, and checks what it did.  Returns 0, the errno
 * with which it failed, or -1 when it did something else than it should. */
int make_call(int libc_call, int place);

int allocate_within_libc(void);          /* fopen(), getline() and others */
void *allocate_at_the_end(size_t bytes); /* jumps to malloc() */
int read_behind_a_block(size_t bytes);   /* allocates it, and frees it */
int allocate_and_free(void);             /* one block by each function; the sum of their bytes */
int vector_read(int fd);                 /* three buffers of 2, 3 and 4 bytes */
int vector_write(int fd);
int close_nothing(int n);       /* n calls of close(-1) */
int write_bytes(int fd, int n); /* n calls of write(); how many failed */

#endif
