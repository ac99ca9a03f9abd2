/* libc.c - finds functions of libc for the wrappers, for questions to the test
 * (ask.c) and for set-up calls of the test (requests.c).  See libc.h.
 */
#include "libc.h"

#include <dlfcn.h>
#include <stddef.h>

/* Some names have two versions in libc, for different structures
 * (pthread_cond_wait).  Before glibc 2.36, RTLD_NEXT finds the old one; dlsym()
 * on the library itself finds the one that a program is linked with. */
void *libc_function(const char *name)
{
    void *libc = dlopen("libc.so.6", RTLD_LAZY | RTLD_NOLOAD);
    void *function = libc ? dlsym(libc, name) : NULL;

    return function ? function : dlsym(RTLD_NEXT, name);
}
