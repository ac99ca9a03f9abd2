/* wrappers.c - calls to libc that ask the test before they are made.
 *
 * The puppet executable defines these functions over libc's, and the dynamic
 * linker finds the executable's first: what a submission calls comes through
 * here.  Where the control page says that a call is armed, the wrapper asks
 * (ask.c) and is told to pass it on, to fail with an errno, to transfer less, to
 * ask again after the call; the test lets it wait by answering later.  Forked
 * children ask as well.  The test counts and decides, so that a submission which
 * overwrites anything here can only avoid questions (test/faults.c).
 *
 * Only these names are exported; all else has hidden visibility, so that no
 * name of the submission resolves to one of the puppet's.  Calls within libc
 * (popen, system, fopen) and raw system calls do not come through here.
 */
#include "wrappers.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <pthread.h>
#include <semaphore.h>
#include <spawn.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ask.h"
#include "valgrind_log.h"

static atomic_uchar *_Atomic armed; /* flags by enum fault_call; NULL: none is armed */
static pid_t puppet;                /* the process that armed them */

void faults_arm(unsigned number)
{
    puppet = getpid();
    armed = CONTROL->armed[number];
}

void faults_disarm(void)
{
    armed = NULL;
}

/* What the test said of one call. */
struct decision {
    enum fault_call call;
    int error;      /* 0: the call is made */
    size_t at_most; /* bytes, for read and write */
    void *address;  /* for a mapping, or NULL */
    bool ask_after; /* the test wants to know that the call has returned */
    pid_t parent;   /* of the process that the call creates, or 0 */
};

static struct reply ask_about(enum fault_call call, enum ask_phase phase)
{
    struct frame question = {.kind = FRAME_ASK, .words = {call, phase}};

    return ask(&question);
}

/* Leaks are not reported by a process that the call creates, however it does
 * that: vfork(), _Fork() and posix_spawn() run no handler of pthread_atfork(). */
static struct decision enter(enum fault_call call)
{
    /* Read once: a thread may be here when the call returns and disarms. */
    atomic_uchar *flags = armed;
    struct decision decision = {.call = call, .at_most = SIZE_MAX};

    if (!flags)
        return decision;
    if (atomic_load(&flags[call])) {
        struct reply reply = ask_about(call, ASK_BEFORE);

        decision.error = reply.flags & ANSWER_FAIL ? reply.error : 0;
        decision.ask_after = reply.flags & ANSWER_ASK_AFTER;
        if (reply.flags & ANSWER_SHORT)
            decision.at_most = reply.value;
        else
            decision.address = (void *)reply.value;
    }
    if (!decision.error && (call == FAULT_FORK || call == FAULT_SPAWN)) {
        decision.parent = getpid();
        log_leaks(false);
    }
    return decision;
}

static void leave(const struct decision *decision)
{
    if (decision->parent != 0 && decision->parent == getpid())
        log_leaks(true);
    if (decision->ask_after)
        ask_about(decision->call, ASK_AFTER);
}

/* Some names have two versions in libc, for different structures
 * (pthread_cond_wait).  Before glibc 2.36, RTLD_NEXT finds the old one; dlsym()
 * on the library itself finds the one that a program is linked with. */
void *libc_function(const char *name)
{
    void *libc = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);
    void *function = libc ? dlsym(libc, name) : NULL;

    return function ? function : dlsym(RTLD_NEXT, name);
}

/* The function of this name that the executable's definition hides. */
#define REAL(name)                                                                                 \
    ({                                                                                             \
        static __typeof__(&name) real;                                                             \
        if (!real)                                                                                 \
            real = (__typeof__(&name))libc_function(#name);                                        \
        real;                                                                                      \
    })

/* A wrapper for a call that reports failure by `failure` and errno. */
#define WRAP(call, failure, type, name, params, ...)                                               \
    type name params                                                                               \
    {                                                                                              \
        struct decision decision = enter(call);                                                    \
        type value;                                                                                \
                                                                                                   \
        if (decision.error) {                                                                      \
            errno = decision.error;                                                                \
            return failure;                                                                        \
        }                                                                                          \
        value = REAL(name)(__VA_ARGS__);                                                           \
        leave(&decision);                                                                          \
        return value;                                                                              \
    }

/* A wrapper for a call that returns its error number. */
#define WRAP_VALUE(call, name, params, ...)                                                        \
    int name params                                                                                \
    {                                                                                              \
        struct decision decision = enter(call);                                                    \
        int value;                                                                                 \
                                                                                                   \
        if (decision.error)                                                                        \
            return decision.error;                                                                 \
        value = REAL(name)(__VA_ARGS__);                                                           \
        leave(&decision);                                                                          \
        return value;                                                                              \
    }

#pragma GCC visibility push(default)

/* ---- processes ---------------------------------------------------------- */

WRAP(FAULT_FORK, -1, pid_t, fork, (void))
WRAP(FAULT_FORK, -1, pid_t, _Fork, (void)) /* of glibc 2.34 and later */

/* A wrapper cannot return twice on a borrowed stack: vfork is fork here. */
pid_t vfork(void)
{
    return fork();
}

WRAP(FAULT_WAIT, -1, pid_t, wait, (int *status), status)
WRAP(FAULT_WAIT, -1, pid_t, waitpid, (pid_t pid, int *status, int options), pid, status, options)
WRAP(FAULT_WAIT, -1, pid_t, wait3, (int *status, int options, struct rusage *usage), status,
     options, usage)
WRAP(FAULT_WAIT, -1, pid_t, wait4, (pid_t pid, int *status, int options, struct rusage *usage), pid,
     status, options, usage)
WRAP(FAULT_WAIT, -1, int, waitid, (idtype_t type, id_t id, siginfo_t *info, int options), type, id,
     info, options)

WRAP(FAULT_EXEC, -1, int, execve, (const char *path, char *const argv[], char *const envp[]), path,
     argv, envp)
WRAP(FAULT_EXEC, -1, int, execv, (const char *path, char *const argv[]), path, argv)
WRAP(FAULT_EXEC, -1, int, execvp, (const char *file, char *const argv[]), file, argv)
WRAP(FAULT_EXEC, -1, int, execvpe, (const char *file, char *const argv[], char *const envp[]), file,
     argv, envp)
WRAP(FAULT_EXEC, -1, int, fexecve, (int fd, char *const argv[], char *const envp[]), fd, argv, envp)

enum { MAX_ARGS = 256 };

static void collect(const char *argv[], const char *first, va_list *rest)
{
    size_t n = 0;

    argv[n] = first;
    while (n < MAX_ARGS - 1 && argv[n])
        argv[++n] = va_arg(*rest, const char *);
    argv[n] = NULL;
}

int execl(const char *path, const char *arg, ...)
{
    const char *argv[MAX_ARGS];
    va_list rest;

    va_start(rest, arg);
    collect(argv, arg, &rest);
    va_end(rest);
    return execv(path, (char *const *)argv);
}

int execlp(const char *file, const char *arg, ...)
{
    const char *argv[MAX_ARGS];
    va_list rest;

    va_start(rest, arg);
    collect(argv, arg, &rest);
    va_end(rest);
    return execvp(file, (char *const *)argv);
}

int execle(const char *path, const char *arg, ...)
{
    const char *argv[MAX_ARGS];
    char *const *envp;
    va_list rest;

    va_start(rest, arg);
    collect(argv, arg, &rest);
    envp = va_arg(rest, char *const *);
    va_end(rest);
    return execve(path, (char *const *)argv, envp);
}

WRAP_VALUE(FAULT_SPAWN, posix_spawn,
           (pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
            const posix_spawnattr_t *attributes, char *const argv[], char *const envp[]),
           pid, path, actions, attributes, argv, envp)
WRAP_VALUE(FAULT_SPAWN, posix_spawnp,
           (pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions,
            const posix_spawnattr_t *attributes, char *const argv[], char *const envp[]),
           pid, file, actions, attributes, argv, envp)

/* ---- descriptors -------------------------------------------------------- */

WRAP(FAULT_PIPE, -1, int, pipe, (int ends[2]), ends)
WRAP(FAULT_PIPE, -1, int, pipe2, (int ends[2], int flags), ends, flags)
WRAP(FAULT_DUP, -1, int, dup, (int fd), fd)
WRAP(FAULT_DUP2, -1, int, dup2, (int from, int to), from, to)
WRAP(FAULT_DUP2, -1, int, dup3, (int from, int to, int flags), from, to, flags)

/* A forked child that closes every descriptor keeps the kit's socket, so that it
 * can still ask; exec closes it. */
static bool keeps(int fd)
{
    return armed && fd == ask_socket() && getpid() != puppet;
}

int close(int fd)
{
    struct decision decision;
    int value;

    if (keeps(fd)) {
        errno = EBADF;
        return -1;
    }
    decision = enter(FAULT_CLOSE);
    if (decision.error) {
        errno = decision.error;
        return -1;
    }
    value = REAL(close)(fd);
    leave(&decision);
    return value;
}

int close_range(unsigned first, unsigned last, int flags)
{
    unsigned kept = ask_socket();

    if (kept < first || kept > last || !keeps(kept))
        return REAL(close_range)(first, last, flags);
    if (kept > first && REAL(close_range)(first, kept - 1, flags) == -1)
        return -1;
    return kept == last ? 0 : REAL(close_range)(kept + 1, last, flags);
}

void closefrom(int first)
{
    close_range(first < 0 ? 0 : first, ~0u, 0);
}

ssize_t read(int fd, void *buf, size_t len)
{
    struct decision decision = enter(FAULT_READ);
    ssize_t value;

    if (decision.error) {
        errno = decision.error;
        return -1;
    }
    value = REAL(read)(fd, buf, len < decision.at_most ? len : decision.at_most);
    leave(&decision);
    return value;
}

ssize_t write(int fd, const void *buf, size_t len)
{
    struct decision decision = enter(FAULT_WRITE);
    ssize_t value;

    if (decision.error) {
        errno = decision.error;
        return -1;
    }
    value = REAL(write)(fd, buf, len < decision.at_most ? len : decision.at_most);
    leave(&decision);
    return value;
}

static bool has_mode(int flags)
{
    return (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE;
}

/* The variadic open(path, flags[, mode]) and open64(). */
#define WRAP_OPEN(name)                                                                            \
    int name(const char *path, int flags, ...)                                                     \
    {                                                                                              \
        struct decision decision = enter(FAULT_OPEN);                                              \
        mode_t mode = 0;                                                                           \
        int fd;                                                                                    \
                                                                                                   \
        if (has_mode(flags)) {                                                                     \
            va_list rest;                                                                          \
                                                                                                   \
            va_start(rest, flags);                                                                 \
            mode = va_arg(rest, mode_t);                                                           \
            va_end(rest);                                                                          \
        }                                                                                          \
        if (decision.error) {                                                                      \
            errno = decision.error;                                                                \
            return -1;                                                                             \
        }                                                                                          \
        fd = REAL(name)(path, flags, mode);                                                        \
        leave(&decision);                                                                          \
        return fd;                                                                                 \
    }
WRAP_OPEN(open)
WRAP_OPEN(open64)

WRAP(FAULT_FTRUNCATE, -1, int, ftruncate, (int fd, off_t length), fd, length)
WRAP(FAULT_FTRUNCATE, -1, int, ftruncate64, (int fd, off64_t length), fd, length)

/* ---- memory mappings ---------------------------------------------------- */

/* An address that the test proposes is a hint: where it does not fit, any other
 * address is good.  The caller's own wish comes first. */
#define WRAP_MMAP(name, offset_type)                                                               \
    void *name(void *at, size_t len, int prot, int flags, int fd, offset_type offset)              \
    {                                                                                              \
        struct decision decision = enter(FAULT_MMAP);                                              \
        void *value;                                                                               \
                                                                                                   \
        if (decision.error) {                                                                      \
            errno = decision.error;                                                                \
            return MAP_FAILED;                                                                     \
        }                                                                                          \
        if (!at && (flags & MAP_TYPE) != MAP_PRIVATE)                                              \
            at = decision.address;                                                                 \
        value = REAL(name)(at, len, prot, flags, fd, offset);                                      \
        leave(&decision);                                                                          \
        return value;                                                                              \
    }
WRAP_MMAP(mmap, off_t)
WRAP_MMAP(mmap64, off64_t)

WRAP(FAULT_MUNMAP, -1, int, munmap, (void *at, size_t len), at, len)

/* ---- POSIX shared memory, semaphores, queues ------------------------------ */

WRAP(FAULT_SHM_OPEN, -1, int, shm_open, (const char *name, int flags, mode_t mode), name, flags,
     mode)
WRAP(FAULT_SHM_UNLINK, -1, int, shm_unlink, (const char *name), name)

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

/* ---- System V ----------------------------------------------------------- */

WRAP(FAULT_SHMGET, -1, int, shmget, (key_t key, size_t size, int flags), key, size, flags)

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

#pragma GCC visibility pop
