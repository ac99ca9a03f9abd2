/* clock.c - the clock (support.h) and time limits (clock.h). */
#include "clock.h"

#include <time.h>

#include "session.h"
#include "support.h"

enum { NO_LIMIT = 1000000 }; /* in seconds, more than a week */

uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * SECOND_NS + now.tv_nsec;
}

uint64_t scaled_limit(unsigned limit)
{
    return session.timeout_factor ? (uint64_t)limit * session.timeout_factor : NO_LIMIT;
}
