/* maps its own memory over the control page, so that no call is armed */
#define _GNU_SOURCE
#include <sys/mman.h>

#include "honest.c"

#define CONTROL_ADDRESS ((void *)0x1ff000000000) /* as in labs/testkit/shared/wire.h */

__attribute__((constructor)) static void remap(void)
{
    mmap(CONTROL_ADDRESS, 1 << 20, PROT_READ | PROT_WRITE,
         MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
}
