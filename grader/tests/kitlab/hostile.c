/* hostile.c - a submission that asks, calls back and traps (hostile.h). */
#define _GNU_SOURCE
#include "hostile.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../../../labs/testkit/shared/wire.h"

enum { MAX_THREADS = 400 };

/* A name of libc: set-up calls of the test must not come here. */
mode_t umask(mode_t mask)
{
    (void)mask;
    return 07777;
}

/* ---- callbacks ---------------------------------------------------------------- */

typedef long one_argument(long);

long call_six(void *function, long first)
{
    return ((long (*)(long, long, long, long, long, long))function)(
        first, first + 1, first + 2, first + 3, first + 4, first + 5);
}

long call_times(void *function, long n)
{
    long sum = 0;

    for (long i = 0; i < n; i++)
        sum += ((one_argument *)function)(i);
    return sum;
}

int call_then_read(void *function, long n, int fd)
{
    char byte;

    call_times(function, n);
    return read(fd, &byte, 1) == 1 ? byte : -1;
}

__attribute__((noipa)) static void take(long a, long b, long c, long d, long e, long f)
{
    __asm__ volatile("" : : "r"(a), "r"(b), "r"(c), "r"(d), "r"(e), "r"(f));
}

long call_with_undefined_registers(void *function, long argument)
{
    long *words = malloc(6 * sizeof *words);
    long value;

    /* cppcheck-suppress uninitdata */
    take(words[0], words[1], words[2], words[3], words[4], words[5]);
    value = ((one_argument *)function)(argument);
    free(words);
    return value;
}

struct task {
    void *function;
    long n, result;
};

static void *call_task(void *argument)
{
    struct task *task = argument;

    task->result = call_times(task->function, task->n);
    return NULL;
}

static long in_threads(void *(*start)(void *), int threads, struct task task)
{
    static struct task tasks[MAX_THREADS];
    static pthread_t ids[MAX_THREADS];
    long sum = 0;

    for (int i = 0; i < threads; i++) {
        tasks[i] = task;
        if (pthread_create(&ids[i], NULL, start, &tasks[i]) != 0)
            return -1;
    }
    for (int i = 0; i < threads; i++) {
        pthread_join(ids[i], NULL);
        sum += tasks[i].result;
    }
    return sum;
}

long call_in_threads(void *function, int threads, long n)
{
    return in_threads(call_task, threads, (struct task){.function = function, .n = n});
}

int call_in_child(void *function)
{
    pid_t pid = fork();

    if (pid == 0)
        _exit(call_times(function, 1));
    return waitpid(pid, NULL, 0) == pid ? 0 : -1;
}

int call_for_ever(void *function)
{
    for (;;)
        call_times(function, 1000);
}

/* ---- signals and traps -------------------------------------------------------- */

static sigjmp_buf before_access;

static void jump_back(int number)
{
    siglongjmp(before_access, number);
}

static void do_nothing(int number)
{
    (void)number;
}

int sum_despite(int disposition, const char *buf, size_t len)
{
    sigset_t set;
    int total = 0;

    sigemptyset(&set);
    sigaddset(&set, SIGSEGV);
    if (disposition == BLOCKED)
        sigprocmask(SIG_BLOCK, &set, NULL);
    else
        signal(SIGSEGV, disposition == IGNORED ? SIG_IGN : jump_back);
    if (sigsetjmp(before_access, 1) != 0)
        return -1;
    for (size_t i = 0; i < len; i++)
        total += buf[i];
    return total;
}

int raise_segv(void)
{
    signal(SIGSEGV, do_nothing);
    raise(SIGSEGV);
    return 7;
}

int queue_segv(const void *address)
{
    siginfo_t info = {.si_signo = SIGSEGV, .si_code = SEGV_ACCERR};

    info.si_addr = (void *)address;
    signal(SIGSEGV, do_nothing);
    return syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), SIGSEGV, &info);
}

int read_by_32_bits(const char *p)
{
    uint32_t half = (uintptr_t)p;

    return *(const volatile char *)(uintptr_t)half;
}

/* ---- observation ---------------------------------------------------------------- */

int hide(void)
{
    return prctl(PR_SET_DUMPABLE, 0);
}

int become(const char *program)
{
    fcntl(OWN_FDS, F_SETFD, 0);
    return execl(program, program, NULL);
}

pid_t start_child(const char *program)
{
    pid_t pid = fork();

    if (pid == 0) {
        execl(program, program, NULL);
        _exit(1);
    }
    return pid;
}

/* ---- the control page and the socket --------------------------------------------- */

static int call_pipe(void)
{
    int ends[2];

    return pipe(ends);
}

int write_control(void)
{
    return mprotect(CONTROL_ADDRESS, sizeof(struct control), PROT_READ | PROT_WRITE);
}

int unmap_control(void)
{
    munmap(CONTROL_ADDRESS, sizeof(struct control));
    return call_pipe();
}

int replace_control(int armed)
{
    mmap(CONTROL_ADDRESS, sizeof(struct control), PROT_READ | PROT_WRITE,
         MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
    memset(CONTROL->armed, armed, sizeof CONTROL->armed);
    return call_pipe();
}

int close_kit_fds(void)
{
    for (int fd = OWN_FDS; fd < 1024; fd++)
        close(fd);
    return call_pipe();
}

/* With a tid and a ticket that are made up. */
static ssize_t send_question(int kind, int number, uint64_t word, unsigned count)
{
    struct frame question = {.kind = kind,
                             .error = number,
                             .nonce = count,
                             .words = {word, ASK_BEFORE},
                             .tid = count * 2654435761u};

    return send(OWN_FDS, &question, sizeof question, MSG_NOSIGNAL);
}

int forge_questions(int kind, int number, uint64_t word, int times)
{
    int sent = 0;

    for (int i = 0; i < times; i++)
        sent += send_question(kind, number, word, i) > 0;
    return sent;
}

int flood_with_questions(int children)
{
    bool is_child = false;

    for (int i = 0; i < children && !is_child; i++)
        is_child = fork() == 0;
    if (children > 0 && !is_child)
        pause();
    for (unsigned i = 0;; i++)
        send_question(FRAME_ASK, 0, FAULT_CLOSE, i);
}

static void *close_again_and_again(void *argument)
{
    struct task *task = argument;

    task->result = 0;
    for (long i = 0; i < task->n; i++)
        task->result += close(-1) == -1 && errno == EIO;
    return NULL;
}

int ask_in_threads(int threads, int n)
{
    return in_threads(close_again_and_again, threads, (struct task){.n = n});
}
