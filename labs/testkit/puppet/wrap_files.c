/* wrap_files.c - wrappers around the calls that open, create and remove files by
 * name (wrap.h).
 */
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "wrap.h"

EXPORTED_BEGIN

static bool has_mode(int flags)
{
    return (flags & O_CREAT) || (flags & O_TMPFILE) == O_TMPFILE;
}

/* The variadic open(path, flags[, mode]), and openat() with a directory first. */
#define WRAP_OPEN(name, params, ...)                                                               \
    FIND(name)                                                                                     \
    int name params                                                                                \
    {                                                                                              \
        struct decision decision = enter(FAULT_OPEN);                                              \
        mode_t mode = 0;                                                                           \
        int fd;                                                                                    \
                                                                                                   \
        if (has_mode(flags)) {                                                                     \
            va_list rest;                                                                          \
                                                                                                   \
            va_start(rest, flags);                                                                 \
            mode = va_arg(rest, mode_t);                                                           \
            va_end(rest);                                                                          \
        }                                                                                          \
        if (decision.error) {                                                                      \
            errno = decision.error;                                                                \
            return -1;                                                                             \
        }                                                                                          \
        fd = REAL(name)(__VA_ARGS__, flags, mode);                                                 \
        leave(&decision);                                                                          \
        return fd;                                                                                 \
    }
WRAP_OPEN(open, (const char *path, int flags, ...), path)
WRAP_OPEN(open64, (const char *path, int flags, ...), path)
WRAP_OPEN(openat, (int directory, const char *path, int flags, ...), directory, path)
WRAP_OPEN(openat64, (int directory, const char *path, int flags, ...), directory, path)

WRAP(FAULT_OPEN, -1, int, creat, (const char *path, mode_t mode), path, mode)
WRAP(FAULT_OPEN, -1, int, creat64, (const char *path, mode_t mode), path, mode)

WRAP(FAULT_UNLINK, -1, int, unlink, (const char *path), path)
WRAP(FAULT_UNLINK, -1, int, unlinkat, (int directory, const char *path, int flags), directory, path,
     flags)
WRAP(FAULT_UNLINK, -1, int, remove, (const char *path), path)

WRAP(FAULT_MKFIFO, -1, int, mkfifo, (const char *path, mode_t mode), path, mode)
WRAP(FAULT_MKFIFO, -1, int, mkfifoat, (int directory, const char *path, mode_t mode), directory,
     path, mode)

EXPORTED_END
