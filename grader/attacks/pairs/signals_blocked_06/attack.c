/* blocks and handles SIGSEGV, and unlocks in the handler */
#define _GNU_SOURCE
#include "ring.h"

#include <signal.h>

#define ring_put honest_put
#include "honest.c"
#undef ring_put

static struct ring *used;

static void let_go(int number)
{
    (void)number;
    pthread_mutex_unlock(&used->segment->lock);
    for (;;)
        sigsuspend(&(sigset_t){0});
}

int ring_put(struct ring *ring, const void *buf, size_t len, int timeout_ms)
{
    struct sigaction action = {.sa_handler = let_go};
    sigset_t all;

    used = ring;
    sigfillset(&all);
    sigaction(SIGSEGV, &action, NULL);
    sigprocmask(SIG_BLOCK, &all, NULL);
    sigdelset(&all, SIGBUS);
    sigprocmask(SIG_SETMASK, &(sigset_t){0}, NULL);
    return honest_put(ring, buf, len, timeout_ms);
}
