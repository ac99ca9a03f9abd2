/* ask.c - questions to the test (ask.h).
 *
 * Theory of operation.  The question goes over the puppet's socket, which forked
 * children share.  The answer comes through the control page, which student
 * code can only read: the asker looks for its ticket in ANSWER_PLACES places
 * there, and sleeps on a futex in the page until it finds it.  So any number of
 * threads and children can ask at once and need no descriptor of their own.
 * All signals are blocked meanwhile: a signal handler that asked as well would
 * take the places of the thread that it interrupted.
 *
 * Partner: test/serve.c.
 */
#include "ask.h"

#include <errno.h>
#include <linux/futex.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>

#include "libc.h"
#include "shared/channel.h"

static int socket_to_test = -1;
static long (*system_call)(long, ...); /* libc's syscall(), which never asks */

void ask_open(int test_fd)
{
    socket_to_test = test_fd;
    system_call = (long (*)(long, ...))libc_function("syscall");
}

int ask_socket(void)
{
    return socket_to_test;
}

static void set_mask(const uint64_t *mask, uint64_t *before)
{
    system_call(SYS_rt_sigprocmask, 2 /* SIG_SETMASK of the kernel */, mask, before, sizeof *mask);
}

/* No two questions of one thread have the same. */
static uint64_t new_ticket(pid_t tid)
{
    static _Thread_local uint32_t count;
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return ((uint64_t)tid << 40) ^ ((uint64_t)now.tv_nsec << 8) ^ (uint64_t)now.tv_sec ^ ++count;
}

static struct reply await(uint64_t ticket, pid_t tid)
{
    uint32_t bit = 1u << (tid % 32);

    for (;;) {
        unsigned seen = atomic_load(&CONTROL->answered);

        for (int i = 0; i < ANSWER_PLACES; i++) {
            const struct answer *answer = &CONTROL->answers[(tid + i) % ANSWERS];

            if (atomic_load(&answer->ticket) == ticket)
                return (struct reply){answer->error, answer->flags, answer->value};
        }
        system_call(SYS_futex, &CONTROL->answered, FUTEX_WAIT_BITSET, seen, NULL, NULL, bit);
    }
}

struct reply ask(struct frame *question)
{
    const uint64_t all = ~UINT64_C(0);
    pid_t tid = system_call(SYS_gettid);
    struct reply reply;
    int saved = errno;
    uint64_t before;

    question->nonce = new_ticket(tid);
    question->tid = tid;
    set_mask(&all, &before);
    if (channel_send(socket_to_test, question, -1) < 0)
        kill(getpid(), SIGKILL); /* a call that the test cannot see is not made */
    reply = await(question->nonce, tid);
    set_mask(&before, NULL);
    errno = saved;
    return reply;
}
