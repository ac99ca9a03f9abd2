/* looks libc's functions up, past those of the kit */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <unistd.h>

static int looked_up(int ends[2], int flags)
{
    int (*function)(int *, int) =
        (int (*)(int *, int))dlsym(dlopen("libc.so.6", RTLD_LAZY), "pipe2");

    return function(ends, flags);
}

#define pipe2 looked_up
#include "honest.c"
