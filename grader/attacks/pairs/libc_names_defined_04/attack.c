/* defines signal, sigaction and sigprocmask, so that the test's set-up in the caller does nothing */
#define _GNU_SOURCE
#include "honest.c"

static __sighandler_t own_signal(int number, __sighandler_t handler)
{
    (void)number, (void)handler;
    return SIG_DFL;
}

__sighandler_t signal(int number, __sighandler_t handler)
{
    if (number != SIGPIPE) {
        struct sigaction action = {.sa_handler = handler};
        extern int __sigaction(int, const struct sigaction *, struct sigaction *);

        __sigaction(number, &action, NULL);
    }
    return own_signal(number, handler);
}
