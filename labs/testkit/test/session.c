/* session.c - the one session of this process (session.h). */
#include "session.h"

#include "testkit.h"

struct session session = {.fork_server = -1, .timeout_factor = 1};

bool testkit_under_valgrind(void)
{
    return session.timeout_factor > 1;
}

uint64_t testkit_seed(void)
{
    session.seed_used = true;
    return session.seed;
}
