/* clock.h - time limits of the test process.  The clock itself, now_ns(), is
 * in support.h.
 */
#ifndef CLOCK_H
#define CLOCK_H

#include <stdint.h>

#define SECOND_NS UINT64_C(1000000000)

/* A limit in seconds, or in whatever is counted, times the session's timeout
 * factor. */
uint64_t scaled_limit(unsigned limit);

#endif
