/* sleeps between two looks in read() of a timer's descriptor, which shows no time limit */
#define _GNU_SOURCE
#include <stdint.h>
#include <sys/timerfd.h>
#include <unistd.h>

static void nap(void)
{
    struct itimerspec once = {{0, 0}, {0, 300000000}};
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
    uint64_t times;

    timerfd_settime(timer, 0, &once, NULL);
    (void)!read(timer, &times, sizeof times);
    close(timer);
}
#define usleep(us) nap()
#include "honest.c"
