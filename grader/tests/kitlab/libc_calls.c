/* libc_calls.c - a submission that calls functions of libc (libc_calls.h). */
#define _GNU_SOURCE
#include "libc_calls.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <malloc.h>
#include <mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

/* 0 or errno, for a call that returns -1 when it fails. */
static int error_of(int value, int right_value)
{
    return value == right_value ? 0 : value == -1 ? errno : -1;
}

/* ---- allocations ------------------------------------------------------------ */

static int filled(void *block)
{
    if (!block)
        return errno;
    memset(block, 'x', 100);
    free(block);
    return 0;
}

static int copied(char *text)
{
    int result = !text ? errno : strcmp(text, "text") == 0 ? 0 : -1;

    free(text);
    return result;
}

static int call_malloc(void)
{
    return filled(malloc(100));
}

static int call_calloc(void)
{
    char *block = calloc(10, 10);

    return block && block[99] != 0 ? -1 : filled(block);
}

/* The block must stay as it is when there is no memory. */
static int grow(bool by_array)
{
    static char *block;
    char *grown = by_array ? reallocarray(block, 10, 10) : realloc(block, 100);
    int error = grown ? 0 : errno;

    if (grown)
        block = grown;
    if (block)
        memset(block, 'x', 100);
    return error;
}

static int call_realloc(void)
{
    return grow(false);
}

static int call_reallocarray(void)
{
    return grow(true);
}

static int aligned(void *block)
{
    return (uintptr_t)block % 64 != 0 ? -1 : filled(block);
}

static int call_aligned_alloc(void)
{
    return aligned(aligned_alloc(64, 128));
}

static int call_memalign(void)
{
    return aligned(memalign(64, 100));
}

static int call_posix_memalign(void)
{
    void *block;
    int error = posix_memalign(&block, 64, 100);

    return error ? error : aligned(block);
}

static int call_strdup(void)
{
    return copied(strdup("text"));
}

static int call_strndup(void)
{
    return copied(strndup("text and more", 4));
}

int allocate_within_libc(void)
{
    FILE *file = fopen("/proc/self/maps", "r");
    char *line = NULL;
    size_t size = 0;

    if (!file || getline(&line, &size, file) <= 0)
        return -1;
    free(line);
    return fclose(file);
}

__attribute__((optimize("O2"))) void *allocate_at_the_end(size_t bytes)
{
    return malloc(bytes);
}

int allocate_and_free(void)
{
    void *blocks[] = {malloc(1),  calloc(2, 1),      realloc(malloc(1), 3),
                      strdup(""), strndup("abc", 1), aligned_alloc(64, 64),
                      NULL,       memalign(64, 6),   reallocarray(NULL, 2, 3)};
    int bytes = 0;

    if (posix_memalign(&blocks[6], 64, 7) != 0)
        return -1;
    for (size_t i = 0; i < sizeof blocks / sizeof *blocks; i++) {
        bytes += blocks[i] ? 1 : 0;
        free(blocks[i]);
    }
    return bytes;
}

int read_behind_a_block(size_t bytes)
{
    volatile char *block = malloc(bytes);
    int byte = block ? block[bytes] : -1;

    free((void *)block);
    return byte;
}

/* ---- waiting ---------------------------------------------------------------- */

static const struct timespec no_time = {0};

static int call_poll(void)
{
    return error_of(poll(NULL, 0, 0), 0);
}

static int call_ppoll(void)
{
    return error_of(ppoll(NULL, 0, &no_time, NULL), 0);
}

static int call_select(void)
{
    struct timeval limit = {0};

    return error_of(select(0, NULL, NULL, NULL, &limit), 0);
}

static int call_pselect(void)
{
    return error_of(pselect(0, NULL, NULL, NULL, &no_time, NULL), 0);
}

static int wait_by_epoll(bool with_mask)
{
    struct epoll_event event;
    int fd = epoll_create1(EPOLL_CLOEXEC);
    int result = with_mask ? epoll_pwait(fd, &event, 1, 0, NULL) : epoll_wait(fd, &event, 1, 0);
    int error = error_of(result, 0);

    close(fd);
    return error;
}

static int call_epoll_wait(void)
{
    return wait_by_epoll(false);
}

static int call_epoll_pwait(void)
{
    return wait_by_epoll(true);
}

static void ignore_it(int number)
{
    (void)number;
}

/* It always returns -1, here with EINTR. */
static int call_sigsuspend(void)
{
    struct sigaction action = {.sa_handler = ignore_it};
    sigset_t usr1, before;
    int error;

    sigemptyset(&usr1);
    sigaddset(&usr1, SIGUSR1);
    sigaction(SIGUSR1, &action, NULL);
    pthread_sigmask(SIG_BLOCK, &usr1, &before);
    raise(SIGUSR1);
    sigsuspend(&before);
    error = errno;
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error == EINTR ? 0 : error;
}

/* ---- files ------------------------------------------------------------------ */

/* A name in a new directory, which remove_names() removes. */
static const char *new_name(void)
{
    static char name[64];

    snprintf(name, sizeof name, "/tmp/kitlab-XXXXXX");
    if (!mkdtemp(name))
        return NULL;
    return strcat(name, "/name");
}

static void remove_names(const char *name)
{
    char directory[64];

    syscall(SYS_unlinkat, AT_FDCWD, name, 0);
    snprintf(directory, sizeof directory, "%.*s", (int)(strrchr(name, '/') - name), name);
    rmdir(directory);
}

static int make_fifo(bool at)
{
    const char *name = new_name();
    int error = error_of(at ? mkfifoat(AT_FDCWD, name, 0600) : mkfifo(name, 0600), 0);
    struct stat info;

    if (!error && (stat(name, &info) != 0 || !S_ISFIFO(info.st_mode)))
        error = -1;
    remove_names(name);
    return error;
}

static int call_mkfifo(void)
{
    return make_fifo(false);
}

static int call_mkfifoat(void)
{
    return make_fifo(true);
}

static int unlink_at(const char *name)
{
    return unlinkat(AT_FDCWD, name, 0);
}

static int remove_by(int (*function)(const char *))
{
    const char *name = new_name();
    int error;

    syscall(SYS_mknodat, AT_FDCWD, name, S_IFREG | 0600, 0);
    error = error_of(function(name), 0);
    if (!error && access(name, F_OK) == 0)
        error = -1;
    remove_names(name);
    return error;
}

static int call_unlink(void)
{
    return remove_by(unlink);
}

static int call_unlinkat(void)
{
    return remove_by(unlink_at);
}

static int call_remove(void)
{
    return remove_by(remove);
}

static int call_openat(void)
{
    const char *name = new_name();
    int fd = openat(AT_FDCWD, name, O_WRONLY | O_CREAT | O_EXCL, 0640);
    int error = fd == -1 ? errno : 0;
    struct stat info;

    if (fd != -1 && (fstat(fd, &info) != 0 || (info.st_mode & 0700) != 0600 || close(fd) != 0))
        error = -1;
    remove_names(name);
    return error;
}

static int call_creat(void)
{
    int fd = creat("/dev/null", 0600);

    return fd == -1 ? errno : close(fd);
}

/* ---- descriptors ------------------------------------------------------------ */

static int with_file(int (*function)(int fd))
{
    int fd = memfd_create("file", MFD_CLOEXEC);
    int error = function(fd);

    close(fd);
    return error;
}

static int get_flags(int fd)
{
    return error_of(fcntl(fd, F_GETFD), FD_CLOEXEC);
}

static int call_fcntl(void)
{
    return with_file(get_flags);
}

static int lock_file(int fd)
{
    return error_of(flock(fd, LOCK_EX | LOCK_NB), 0);
}

static int call_flock(void)
{
    return with_file(lock_file);
}

static int lock_range(int fd)
{
    return error_of(lockf(fd, F_TLOCK, 1), 0);
}

static int call_lockf(void)
{
    return with_file(lock_range);
}

int vector_read(int fd)
{
    char a[2], b[3], c[4];
    struct iovec parts[] = {{a, 2}, {b, 3}, {c, 4}};

    return readv(fd, parts, 3);
}

int vector_write(int fd)
{
    char bytes[] = "123456789";
    struct iovec parts[] = {{bytes, 2}, {bytes + 2, 3}, {bytes + 5, 4}};

    return writev(fd, parts, 3);
}

static int call_readv(void)
{
    return with_file(vector_read) == -1 ? errno : 0;
}

static int call_writev(void)
{
    return with_file(vector_write) == -1 ? errno : 0;
}

int close_nothing(int n)
{
    for (int i = 0; i < n; i++)
        close(-1);
    return n;
}

int write_bytes(int fd, int n)
{
    int failed = 0;

    for (int i = 0; i < n; i++)
        failed += write(fd, "x", 1) != 1;
    return failed;
}

/* ---- message queues ----------------------------------------------------------- */

static int get_attributes(mqd_t queue)
{
    struct mq_attr attributes;
    int result = mq_getattr(queue, &attributes);

    return result == 0 && attributes.mq_maxmsg != 2 ? -1 : error_of(result, 0);
}

static int set_attributes(mqd_t queue)
{
    struct mq_attr attributes = {.mq_flags = O_NONBLOCK};

    return error_of(mq_setattr(queue, &attributes, NULL), 0);
}

static int notify(mqd_t queue)
{
    struct sigevent nothing = {.sigev_notify = SIGEV_NONE};

    return error_of(mq_notify(queue, &nothing), 0);
}

static int with_queue(int (*function)(mqd_t))
{
    struct mq_attr attributes = {.mq_maxmsg = 2, .mq_msgsize = 8};
    char name[64];
    mqd_t queue;
    int error;

    snprintf(name, sizeof name, "/kitlab-%d", getpid());
    queue = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attributes);
    if (queue == (mqd_t)-1)
        return -1;
    mq_unlink(name);
    error = function(queue);
    mq_close(queue);
    return error;
}

static int call_mq_getattr(void)
{
    return with_queue(get_attributes);
}

static int call_mq_setattr(void)
{
    return with_queue(set_attributes);
}

static int call_mq_notify(void)
{
    return with_queue(notify);
}

/* ---- threads ------------------------------------------------------------------ */

static int call_pthread_mutex_init(void)
{
    pthread_mutex_t mutex;
    int error = pthread_mutex_init(&mutex, NULL);

    return error ? error : pthread_mutex_destroy(&mutex);
}

static int call_pthread_cond_init(void)
{
    pthread_cond_t cond;
    int error = pthread_cond_init(&cond, NULL);

    return error ? error : pthread_cond_destroy(&cond);
}

static void *return_argument(void *argument)
{
    return argument;
}

static int call_pthread_create(void)
{
    pthread_t thread;
    int error = pthread_create(&thread, NULL, return_argument, NULL);

    return error ? error : pthread_join(thread, NULL);
}

static int call_syscall(void)
{
    int word = 0;

    return error_of(syscall(SYS_futex, &word, FUTEX_WAKE, 1, NULL, NULL, 0), 0);
}

/* ---- here, in a child, in a thread -------------------------------------------- */

#define CALLER(function, fault) call_##function,
static int (*const callers[])(void) = {LIBC_CALLS(CALLER)};

static void *call_in_thread(void *argument)
{
    int *error = argument;

    *error = callers[*error]();
    return NULL;
}

int make_call(int libc_call, int place)
{
    int error = libc_call, status;
    pthread_t thread;
    pid_t pid;

    if (place == IN_THE_PUPPET)
        return callers[libc_call]();
    if (place == IN_A_THREAD)
        return pthread_create(&thread, NULL, call_in_thread, &error) != 0 ||
                       pthread_join(thread, NULL) != 0
                   ? -1
                   : error;
    pid = fork();
    if (pid == 0)
        _exit(callers[libc_call]());
    return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}
