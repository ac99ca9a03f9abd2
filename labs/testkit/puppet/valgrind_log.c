/* valgrind_log.c - the kit's own lines in Valgrind's log (valgrind_log.h).
 */
#include "valgrind_log.h"

#include <valgrind/valgrind.h>

void log_submission_loaded(void)
{
    (void)VALGRIND_PRINTF("submission loaded\n");
}

void log_submission_at(unsigned long start, unsigned long end)
{
    (void)VALGRIND_PRINTF("submission at %lx to %lx\n", start, end);
}

void log_puppet_ended(pid_t pid)
{
    (void)VALGRIND_PRINTF("puppet %d ended\n", pid);
}

void log_leaks(bool on)
{
    if (on)
        VALGRIND_CLO_CHANGE("--leak-check=full");
    else
        VALGRIND_CLO_CHANGE("--leak-check=no");
}
