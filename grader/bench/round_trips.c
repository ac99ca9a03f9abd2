/* round_trips.c - measures the time of a remote call, for `make bench`.
 *
 * It is linked instead of the hidden tests of lab 01.  Test and puppet share
 * one CPU, as in every test that does not ask for more.
 */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <time.h>

#include "buddy.h"
#include "testkit.h"

enum { CALLS = 20000 };

static double now_us(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1e6 + t.tv_nsec / 1e3;
}

TEST(round_trips, "A remote call returns its value.")
{
    double started;

    assert_true(buddy_sizeof(1024, 16) > 0); /* starts the puppet */
    started = now_us();
    for (int i = 0; i < CALLS; i++)
        buddy_sizeof(1024, 16);
    printf("%.3f us a call\n", (now_us() - started) / CALLS);
}
