/* takes the fork server's stack limit by prlimit, so that no program can be executed */
#define _GNU_SOURCE
#include <sys/resource.h>
#include <unistd.h>

#include "honest.c"

__attribute__((constructor)) static void limit(void)
{
    struct rlimit none = {0, 0};

    prlimit(getppid(), RLIMIT_STACK, &none, NULL);
}
