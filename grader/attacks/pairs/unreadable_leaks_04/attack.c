/* makes itself unreadable by prctl(PR_SET_DUMPABLE, 0), so that its leaks are not seen */
#define _GNU_SOURCE
#include <sys/prctl.h>

#include "honest.c"

__attribute__((constructor)) static void hide(void)
{
    prctl(PR_SET_DUMPABLE, 0);
}
