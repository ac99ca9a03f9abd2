/* wrappers.c - calls to libc that fail as a test has planned.
 *
 * The puppet executable defines these functions over libc's, and the dynamic
 * linker finds the executable's first: what a submission calls comes through
 * here.  Each wrapper counts the call, pauses if the plan says so, fails with
 * the planned errno, or passes on to the real function.  The plan lies in the
 * arena's control page, so that it holds for forked children as well.
 *
 * Only these names are exported; all else has hidden visibility, so that no
 * name of the submission resolves to one of the puppet's.  Calls within libc
 * (popen, system, fopen) and raw system calls do not come through here.
 */
#include "wrappers.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <mqueue.h>
#include <pthread.h>
#include <semaphore.h>
#include <spawn.h>
#include <stdarg.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "shared/xorshift.h"
#include "valgrind_log.h"

static struct slot *_Atomic armed; /* NULL: there is no plan */
static pid_t puppet;               /* the process that armed it */

void faults_arm(struct slot *slot)
{
    puppet = getpid();
    armed = slot;
}

void faults_disarm(void)
{
    armed = NULL;
}

/* What the plan says of one call. */
struct decision {
    struct slot *slot; /* NULL: there is no plan */
    int error;         /* 0: the call is made */
    size_t at_most;    /* bytes, for read and write */
    uint64_t seed;     /* of the pause after the call */
    uint64_t max_us;
    bool hold;    /* after the call, until fault_release() */
    pid_t parent; /* of the process that the call creates, or 0 */
};

static void pause_for(struct slot *slot, uint64_t seed, uint64_t max_us)
{
    struct timespec pause = {0};
    int saved = errno;

    if (max_us == 0)
        return;
    pause.tv_nsec = (xorshift64star(&seed) >> 33) % max_us * 1000;
    if (getpid() != puppet) { /* a child may be killed during the pause, and never subtract */
        clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
    } else {
        atomic_fetch_add(&slot->delayed, 1);
        clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
        atomic_fetch_sub(&slot->delayed, 1);
    }
    errno = saved;
}

static struct decision decide(enum fault_call call)
{
    /* Read once: a thread may be here when the call returns and disarms. */
    struct slot *slot = armed;
    struct decision decision = {.slot = slot, .at_most = SIZE_MAX};
    unsigned nth, nfaults;

    if (!slot)
        return decision;
    nth = atomic_fetch_add(&slot->calls[call], 1) + 1;
    nfaults = atomic_load(&slot->nfaults);
    for (unsigned i = 0; i < nfaults && i < MAX_FAULTS; i++) {
        struct fault *fault = &slot->faults[i];

        if (fault->call != (uint32_t)call)
            continue;
        if (fault->kind == FAULT_DELAY) {
            decision.seed = fault->seed + nth * 2;
            decision.max_us = fault->max_us;
        }
        if (fault->nth != nth)
            continue;
        if (fault->kind == FAULT_SHORT)
            decision.at_most = fault->bytes;
        if (fault->kind == FAULT_FAIL)
            decision.error = fault->error;
        if (fault->kind == FAULT_HOLD)
            decision.hold = true;
        if (fault->kind != FAULT_DELAY) {
            fault->reached = 1;
            atomic_fetch_add(&slot->fired, 1);
        }
    }
    pause_for(slot, decision.seed, decision.max_us);
    return decision;
}

/* Leaks are not reported by a process that the call creates, however it does
 * that: vfork(), _Fork() and posix_spawn() run no handler of pthread_atfork(). */
static struct decision enter(enum fault_call call)
{
    struct decision decision = decide(call);

    if (decision.slot && !decision.error && (call == FAULT_FORK || call == FAULT_SPAWN)) {
        decision.parent = getpid();
        log_leaks(false);
    }
    return decision;
}

void park(atomic_uint *flag, const atomic_uint *wanted)
{
    int saved = errno;

    atomic_store(flag, 1);
    if (wanted && atomic_load(wanted) == 0)
        atomic_store(flag, 0);
    while (atomic_load(flag) != 0)
        syscall(SYS_futex, flag, FUTEX_WAIT, 1, NULL, NULL, 0);
    errno = saved;
}

static void leave(const struct decision *decision)
{
    if (decision->parent != 0 && decision->parent == getpid())
        log_leaks(true);
    if (!decision->slot)
        return;
    pause_for(decision->slot, decision->seed + 1, decision->max_us);
    if (decision->hold)
        park(&decision->slot->held, &decision->slot->nfaults);
}

/* Some names have two versions in libc, for different structures
 * (pthread_cond_wait).  Before glibc 2.36, RTLD_NEXT finds the old one; dlsym()
 * on the library itself finds the one that a program is linked with. */
static void *libc_function(const char *name)
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
WRAP(FAULT_CLOSE, -1, int, close, (int fd), fd)

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

/* Where the next shared mapping of this puppet goes, or NULL.  Puppets are
 * forked from one process and would all map at the same address, which would
 * hide a pointer stored in shared memory.  A hint only: where it does not fit,
 * any other address is good. */
static void *displaced(void)
{
    static atomic_uint maps;
    struct slot *slot = armed;

    if (!slot || !atomic_load(&slot->displace))
        return NULL;
    return (char *)0x300000000000 + (slot - CONTROL->slots) * ((size_t)1 << 36) +
           atomic_fetch_add(&maps, 1) * ((size_t)1 << 30);
}

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
            at = displaced();                                                                      \
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
    void *elsewhere = at ? NULL : displaced();

    if (decision.error) {
        errno = decision.error;
        return value;
    }
    if (elsewhere)
        value = REAL(shmat)(id, elsewhere, flags);
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
