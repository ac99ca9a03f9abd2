/* loads libc a second time in a name space of its own, and calls fork there */
#define _GNU_SOURCE
#include <dlfcn.h>

static int second_fork(void)
{
    static int (*function)(void);

    if (!function)
        function = (int (*)(void))dlsym(dlmopen(LM_ID_NEWLM, "libc.so.6", RTLD_LAZY), "fork");
    return function ? function() : -1;
}

#define fork second_fork
#include "honest.c"
