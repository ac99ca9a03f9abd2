/* preloads itself into the stages' programs by the environment, and closes there what it should
 * have closed before */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

#include "honest.c"

__attribute__((constructor)) static void begin(void)
{
    Dl_info self;

    if (getenv("PRELOADED"))
        closefrom(3);
    else if (dladdr((void *)pipeline_run, &self)) {
        setenv("LD_PRELOAD", self.dli_fname, 1);
        setenv("PRELOADED", "1", 1);
    }
}
