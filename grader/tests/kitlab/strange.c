/* strange.c - a submission that misbehaves in many ways (strange.h). */
#define _GNU_SOURCE
#include "strange.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../../../labs/testkit/shared/wire.h"

/* Names that the puppet also has; the submission must get its own. */
int data_start = 42;

int ask(void)
{
    return 42;
}

long add(long a, long b, long c, long d, long e, long f)
{
    return ask() == 42 && data_start == 42 ? a + b + c + d + e + f : -1;
}

int set_errno(int error)
{
    errno = error;
    return -1;
}

void *echo(void *p)
{
    return p;
}

int fill(char *buf, size_t len, int byte)
{
    memset(buf, byte, len);
    return 0;
}

int sum(const char *buf, size_t len)
{
    int total = 0;

    for (size_t i = 0; i < len; i++)
        total += buf[i];
    return total;
}

int crash(void)
{
    volatile int *nowhere = NULL;

    /* cppcheck-suppress nullPointer */
    return *nowhere;
}

int leave(int status)
{
    exit(status);
}

int leave_at_once(int status)
{
    _exit(status);
}

/* A block whose only pointer is disguised while posix_spawn() starts a program
 * that does not exist (which it does not report under Valgrind). */
int spawn_with_disguised_pointer(void)
{
    static volatile uintptr_t disguised;
    char *argv[] = {"/nowhere", NULL};
    pid_t pid;

    disguised = ~(uintptr_t)malloc(33);
    if (posix_spawn(&pid, argv[0], NULL, NULL, argv, NULL) == 0)
        waitpid(pid, NULL, 0);
    free((void *)~disguised);
    return 0;
}

int lose_memory(int in_a_child)
{
    static void *volatile kept;
    pid_t pid = in_a_child == 0 ? 0 : in_a_child == 1 ? fork() : _Fork();

    if (pid == 0) {
        kept = malloc(33);
        kept = NULL;
        if (in_a_child)
            _exit(0);
    }
    return in_a_child ? (int)waitpid(pid, NULL, 0) - pid : 0;
}

int fork_and_return(void)
{
    pid_t pid = fork();

    if (pid > 0)
        waitpid(pid, NULL, 0);
    return 0;
}

int return_in_child_only(void)
{
    if (fork() == 0)
        return 0;
    for (;;)
        pause();
}

int spin(void)
{
    for (volatile int i = 0;; i++)
        ;
}

int spin_until_sigxcpu(void)
{
    struct rlimit one_second = {1, RLIM_INFINITY};

    setrlimit(RLIMIT_CPU, &one_second);
    return spin();
}

int nap(void)
{
    for (;;)
        usleep(1000);
}

int sleep_until_signal(void)
{
    return pause();
}

int read_from(int fd)
{
    char byte;

    return read(fd, &byte, 1) == 1 ? byte : -1;
}

int timed_read_from(int fd, int timeout_ms)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};

    return poll(&ready, 1, timeout_ms) == 1 ? read_from(fd) : -1;
}

int open_leak(void)
{
    return open("/dev/null", O_RDONLY);
}

int zombie(void)
{
    pid_t pid = fork();

    if (pid == 0)
        _exit(0);
    return waitid(P_PID, pid, NULL, WEXITED | WNOWAIT); /* it has ended, and stays */
}

int daemon_and_die(void)
{
    if (fork() == 0) {
        setsid();
        for (;;)
            pause();
    }
    _exit(0);
}

int close_all(void)
{
    for (int fd = 0; fd < 1024; fd++)
        close(fd);
    return 0;
}

/* The kit's socket is the only one above 500. */
static int kit_socket(void)
{
    for (int fd = OWN_FDS; fd < 1024; fd++)
        if (fcntl(fd, F_GETFD) >= 0)
            return fd;
    return -1;
}

int forge(int kind)
{
    struct frame forged = {.kind = kind, .words = {0}};

    send(kit_socket(), &forged, sizeof forged, 0);
    for (;;)
        pause();
}

int forge_from_child(void)
{
    if (fork() == 0) {
        struct frame forged = {.kind = FRAME_RETURNED};

        send(kit_socket(), &forged, sizeof forged, 0);
        _exit(0);
    }
    for (;;)
        pause();
}

int flood(void)
{
    struct frame forged = {.kind = FRAME_RETURNED};

    while (send(kit_socket(), &forged, sizeof forged, MSG_DONTWAIT) > 0)
        ;
    return 0;
}

int stop_self(void)
{
    return raise(SIGSTOP);
}

int make_objects(const char *name)
{
    int fd = shm_open(name, O_RDWR | O_CREAT | O_EXCL, 0600);

    if (fd < 0)
        return -1;
    return close(fd);
}

int remove_objects(const char *name)
{
    return shm_unlink(name);
}

int fork_calls(int n)
{
    for (int i = 0; i < n; i++) {
        pid_t pid = fork();

        if (pid < 0)
            return -1;
        if (pid == 0)
            _exit(0);
        waitpid(pid, NULL, 0);
    }
    return 0;
}

int read_all(int fd, char *buf, size_t len)
{
    int reads = 0;

    for (size_t got = 0; got < len; reads++) {
        ssize_t n = read(fd, buf + got, len - got);

        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return -1;
        got += n;
    }
    return reads;
}

void *map_shared(const char *name)
{
    int fd = shm_open(name, O_RDWR | O_CREAT, 0600);
    void *map = NULL;

    if (fd >= 0 && ftruncate(fd, 4096) == 0)
        map = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    return map;
}

static void *open_again_and_again(void *argument)
{
    atomic_int *opened = argument;

    for (int i = 0; i < 100; i++) {
        close(open("/dev/null", O_RDONLY));
        atomic_fetch_add(opened, 1);
    }
    return NULL;
}

int leave_a_thread(void)
{
    static atomic_int opened;
    pthread_t thread;

    atomic_store(&opened, 0);
    if (pthread_create(&thread, NULL, open_again_and_again, &opened) != 0)
        return -1;
    while (atomic_load(&opened) == 0)
        sched_yield();
    return 0;
}

static pthread_t busy_thread;
static atomic_bool was_busy;

static void *work_then_read(void *argument)
{
    struct timespec used = {0};

    while (used.tv_nsec < 50000000)
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    atomic_store(&was_busy, true);
    read_from(*(int *)argument);
    return NULL;
}

int leave_a_busy_thread(int fd)
{
    static int from;

    from = fd;
    if (pthread_create(&busy_thread, NULL, work_then_read, &from) != 0)
        return -1;
    while (!atomic_load(&was_busy))
        sched_yield();
    return 0;
}

int read_after_the_thread(int fd)
{
    pthread_join(busy_thread, NULL);
    return read_from(fd);
}

/* The program reads the same pipe, so it sleeps as long as this call does. */
int read_beside_a_program(int fd)
{
    char *argv[] = {"/bin/cat", NULL}, *env[] = {NULL};
    posix_spawn_file_actions_t actions;
    pid_t pid;

    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, fd, STDIN_FILENO);
    if (posix_spawn(&pid, argv[0], &actions, NULL, argv, env) != 0)
        return -1;
    posix_spawn_file_actions_destroy(&actions);
    return read_from(fd);
}

int child_and_grandchild_write(int *number)
{
    int child_word, grandchild_word;
    pid_t pid = fork();

    if (pid == 0) {
        *number = 1;
        pid = fork();
        if (pid == 0) {
            int seen = *number;

            *number = 2;
            _exit(seen);
        }
        waitpid(pid, &grandchild_word, 0);
        _exit(WEXITSTATUS(grandchild_word) == 1 ? *number : 99);
    }
    waitpid(pid, &child_word, 0);
    return WEXITSTATUS(child_word) == 1 ? *number : -1;
}

int read_fork_server_memory(void)
{
    char path[64], byte;
    struct iovec here = {.iov_base = &byte, .iov_len = 1}, there = {&ask, 1};
    int fd;

    snprintf(path, sizeof path, "/proc/%d/mem", getppid());
    fd = open(path, O_RDONLY);
    if (fd >= 0 || process_vm_readv(getppid(), &here, 1, &there, 1, 0) == 1)
        return 0;
    return -1;
}
