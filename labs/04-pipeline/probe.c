/* probe.c - a stage that does what its arguments say, for tests and experiments.
 *
 *     probe ACTION...
 *
 * performs the actions from left to right and then exits with 0:
 *     write TEXT     writes TEXT and a newline to standard output
 *     pass           copies standard input to standard output until end-of-file
 *     emit BYTES     writes this many bytes of a fixed pattern
 *     check BYTES    reads until end-of-file; exits with 1 unless it read
 *                    exactly this many bytes of that pattern
 *     report         writes the descriptors, blocked signals and ignored
 *                    signals that it was started with to standard output
 *     announce NAME  sends struct announcement to the socket at descriptor 2
 *     gate FD        waits until a byte or end-of-file can be read from FD
 *     exit N         exits with N
 *     die N          kills itself with signal N
 * These set up an unusual parent for another program:
 *     ignore N, block N   ignores or blocks signal N
 *     child FD       forks a child that waits at gate FD, and does not wait for it
 *     zombie N       forks a child that exits with N, and does not wait for it
 *     exec COMMAND [ARG]...   executes COMMAND in its own process
 */
#define _GNU_SOURCE
#include "probe.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { BUFFER_BYTES = 65536 };

static unsigned char buffer[BUFFER_BYTES];

static void fail(const char *what)
{
    dprintf(STDERR_FILENO, "probe: %s: %s\n", what, strerror(errno));
    _exit(99);
}

static void write_all(const void *data, size_t len_bytes)
{
    const char *next = data;

    while (len_bytes > 0) {
        ssize_t n = write(STDOUT_FILENO, next, len_bytes);

        if (n == -1)
            fail("write");
        next += n;
        len_bytes -= (size_t)n;
    }
}

static size_t read_some(void)
{
    ssize_t n = read(STDIN_FILENO, buffer, sizeof buffer);

    if (n == -1)
        fail("read");
    return (size_t)n;
}

static void pass(void)
{
    for (size_t n; (n = read_some()) > 0;)
        write_all(buffer, n);
}

/* Byte number `at` of the pattern.  Two adjacent bytes, or two bytes 64 KiB
 * apart, are rarely equal, so that lost and repeated blocks are noticed. */
static unsigned char pattern(unsigned long long at)
{
    unsigned long long x = (at + 1) * 0x9E3779B97F4A7C15ULL;

    return (unsigned char)(x >> 56);
}

static void emit(unsigned long long size_bytes)
{
    for (unsigned long long at = 0; at < size_bytes;) {
        size_t n = 0;

        while (n < sizeof buffer && at < size_bytes)
            buffer[n++] = pattern(at++);
        write_all(buffer, n);
    }
}

static void check(unsigned long long size_bytes)
{
    unsigned long long at = 0;

    for (size_t n; (n = read_some()) > 0;)
        for (size_t i = 0; i < n; i++, at++)
            if (at >= size_bytes || buffer[i] != pattern(at)) {
                dprintf(STDERR_FILENO, "probe: wrong byte at %llu\n", at);
                _exit(1);
            }
    if (at != size_bytes) {
        dprintf(STDERR_FILENO, "probe: read %llu bytes, not %llu\n", at, size_bytes);
        _exit(1);
    }
}

/* Bit n - 1 of a set stands for signal n. */
static unsigned long long blocked_signals(void)
{
    unsigned long long set = 0;
    sigset_t blocked;

    sigprocmask(SIG_SETMASK, NULL, &blocked);
    for (int n = 1; n <= 64; n++)
        if (sigismember(&blocked, n) == 1)
            set |= 1ULL << (n - 1);
    return set;
}

static unsigned long long ignored_signals(void)
{
    unsigned long long set = 0;

    for (int n = 1; n <= 64; n++) {
        struct sigaction action;

        if (sigaction(n, NULL, &action) == 0 && action.sa_handler == SIG_IGN)
            set |= 1ULL << (n - 1);
    }
    return set;
}

static void print_signals(const char *title, unsigned long long set)
{
    printf("%s:", title);
    for (int n = 1; n <= 64; n++)
        if (set >> (n - 1) & 1)
            printf(" %d", n);
    printf("\n");
}

static void report(void)
{
    char path[64];
    char target[256];

    for (int fd = 0; fd < 1024; fd++) {
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);

        ssize_t n = readlink(path, target, sizeof target - 1);

        if (n == -1)
            continue;
        target[n] = '\0';
        printf("%d -> %s\n", fd, target);
    }
    print_signals("blocked", blocked_signals());
    print_signals("ignored", ignored_signals());
    fflush(stdout);
}

static void announce(const char *name)
{
    struct announcement me = {.magic = PROBE_MAGIC};

    snprintf(me.name, sizeof me.name, "%s", name);
    if (send(PROBE_CONTROL_FD, &me, sizeof me, MSG_NOSIGNAL) != (ssize_t)sizeof me)
        fail("announce");
}

static void gate(int fd)
{
    char byte;

    while (read(fd, &byte, 1) == -1)
        if (errno != EINTR)
            fail("gate");
}

static void start_child(int fd)
{
    pid_t pid = fork();

    if (pid == -1)
        fail("child");
    if (pid == 0) {
        gate(fd);
        _exit(0);
    }
}

static void zombie(int number)
{
    siginfo_t info;
    pid_t pid = fork();

    if (pid == 0)
        _exit(number);
    if (pid == -1 || waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) == -1)
        fail("zombie");
}

static void block(int number)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, number);
    sigprocmask(SIG_BLOCK, &set, NULL);
}

/* The argument of an action that needs one. */
static const char *argument(char **action)
{
    if (action[1] == NULL) {
        dprintf(STDERR_FILENO, "probe: %s needs an argument\n", action[0]);
        _exit(99);
    }
    return action[1];
}

/* Performs one action; returns how many elements of argv it took. */
static int perform(char **action)
{
    const char *name = action[0];

    if (strcmp(name, "pass") == 0) {
        pass();
        return 1;
    }
    if (strcmp(name, "report") == 0) {
        report();
        return 1;
    }

    const char *text = argument(action);
    int number = atoi(text);

    if (strcmp(name, "write") == 0) {
        write_all(text, strlen(text));
        write_all("\n", 1);
    } else if (strcmp(name, "emit") == 0) {
        emit(strtoull(text, NULL, 10));
    } else if (strcmp(name, "check") == 0) {
        check(strtoull(text, NULL, 10));
    } else if (strcmp(name, "announce") == 0) {
        announce(text);
    } else if (strcmp(name, "gate") == 0) {
        gate(number);
    } else if (strcmp(name, "exit") == 0) {
        _exit(number);
    } else if (strcmp(name, "die") == 0) {
        signal(number, SIG_DFL);
        raise(number);
        fail("die");
    } else if (strcmp(name, "ignore") == 0) {
        signal(number, SIG_IGN);
    } else if (strcmp(name, "block") == 0) {
        block(number);
    } else if (strcmp(name, "child") == 0) {
        start_child(number);
    } else if (strcmp(name, "zombie") == 0) {
        zombie(number);
    } else if (strcmp(name, "exec") == 0) {
        execvp(action[1], action + 1);
        fail(action[1]);
    } else {
        dprintf(STDERR_FILENO, "probe: unknown action: %s\n", name);
        _exit(99);
    }
    return 2;
}

int main(int argc, char *argv[])
{
    for (int i = 1; i < argc;)
        i += perform(argv + i);
    return 0;
}
