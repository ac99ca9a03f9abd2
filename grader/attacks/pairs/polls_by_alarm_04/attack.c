/* sleeps between two looks in pause(), until an alarm comes */
#define _GNU_SOURCE
#include <signal.h>
#include <sys/time.h>
#include <unistd.h>

static void do_nothing(int number)
{
    (void)number;
}

static void nap(void)
{
    struct sigaction action = {.sa_handler = do_nothing}, before;
    struct itimerval once = {{0, 0}, {0, 300000}};

    sigaction(SIGALRM, &action, &before);
    setitimer(ITIMER_REAL, &once, NULL);
    pause();
    sigaction(SIGALRM, &before, NULL);
}
#define usleep(us) nap()
#include "honest.c"
