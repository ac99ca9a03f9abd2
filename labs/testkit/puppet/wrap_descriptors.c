/* wrap_descriptors.c - wrappers around the calls that create, use, lock and close
 * descriptors (wrap.h).
 */
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <sys/file.h>
#include <sys/uio.h>
#include <unistd.h>

#include "ask.h"
#include "wrap.h"

EXPORTED_BEGIN

WRAP(FAULT_PIPE, -1, int, pipe, (int ends[2]), ends)
WRAP(FAULT_PIPE, -1, int, pipe2, (int ends[2], int flags), ends, flags)
WRAP(FAULT_DUP, -1, int, dup, (int fd), fd)
WRAP(FAULT_DUP2, -1, int, dup2, (int from, int to), from, to)
WRAP(FAULT_DUP2, -1, int, dup3, (int from, int to, int flags), from, to, flags)

/* A forked child that closes every descriptor keeps the kit's socket, so that it
 * can still ask; exec closes it. */
static bool keeps(int fd)
{
    return fd == ask_socket() && in_armed_child();
}
FIND(close)

int close(int fd)
{
    struct decision decision;
    int value;

    if (keeps(fd)) {
        errno = EBADF;
        return -1;
    }
    decision = enter(FAULT_CLOSE);
    if (decision.error) {
        errno = decision.error;
        return -1;
    }
    value = REAL(close)(fd);
    leave(&decision);
    return value;
}
FIND(close_range)

int close_range(unsigned first, unsigned last, int flags)
{
    unsigned kept = ask_socket();

    if (kept < first || kept > last || !keeps(kept))
        return REAL(close_range)(first, last, flags);
    if (kept > first && REAL(close_range)(first, kept - 1, flags) == -1)
        return -1;
    return kept == last ? 0 : REAL(close_range)(kept + 1, last, flags);
}

void closefrom(int first)
{
    close_range(first < 0 ? 0 : first, ~0u, 0);
}
FIND(read)

ssize_t read(int fd, void *buf, size_t len)
{
    struct decision decision = enter(FAULT_READ);
    ssize_t value;

    if (decision.error) {
        errno = decision.error;
        return -1;
    }
    value = REAL(read)(fd, buf, len < decision.at_most ? len : decision.at_most);
    leave(&decision);
    return value;
}
FIND(write)

ssize_t write(int fd, const void *buf, size_t len)
{
    struct decision decision = enter(FAULT_WRITE);
    ssize_t value;

    if (decision.error) {
        errno = decision.error;
        return -1;
    }
    value = REAL(write)(fd, buf, len < decision.at_most ? len : decision.at_most);
    leave(&decision);
    return value;
}

/* The first at_most bytes of iov as `part`; returns how many of its n elements
 * that takes. */
static int shorten(struct iovec part[], const struct iovec iov[], int n, size_t at_most)
{
    int i;

    for (i = 0; i < n && at_most > 0; i++) {
        part[i] = iov[i];
        if (part[i].iov_len > at_most)
            part[i].iov_len = at_most;
        at_most -= part[i].iov_len;
    }
    return i;
}

typedef ssize_t vector_function(int, const struct iovec *, int);

/* A count that libc refuses is left to it. */
__attribute__((noinline)) static ssize_t transfer(vector_function *function, int fd,
                                                  const struct iovec *iov, int n, size_t at_most)
{
    struct iovec part[IOV_MAX];

    if (n < 0 || n > IOV_MAX)
        return function(fd, iov, n);
    return function(fd, part, shorten(part, iov, n, at_most));
}

/* readv() and writev(). */
#define WRAP_VECTOR(call, name)                                                                    \
    FIND(name)                                                                                     \
    ssize_t name(int fd, const struct iovec *iov, int n)                                           \
    {                                                                                              \
        struct decision decision = enter(call);                                                    \
        ssize_t value;                                                                             \
                                                                                                   \
        if (decision.error) {                                                                      \
            errno = decision.error;                                                                \
            return -1;                                                                             \
        }                                                                                          \
        if (decision.at_most == SIZE_MAX)                                                          \
            value = REAL(name)(fd, iov, n);                                                        \
        else                                                                                       \
            value = transfer(REAL(name), fd, iov, n, decision.at_most);                            \
        leave(&decision);                                                                          \
        return value;                                                                              \
    }
WRAP_VECTOR(FAULT_READ, readv)
WRAP_VECTOR(FAULT_WRITE, writev)

WRAP(FAULT_FTRUNCATE, -1, int, ftruncate, (int fd, off_t length), fd, length)
WRAP(FAULT_FTRUNCATE, -1, int, ftruncate64, (int fd, off64_t length), fd, length)

/* The argument is an int or a pointer, one word, or there is none. */
#define WRAP_FCNTL(name)                                                                           \
    FIND(name)                                                                                     \
    int name(int fd, int command, ...)                                                             \
    {                                                                                              \
        struct decision decision = enter(FAULT_FCNTL);                                             \
        void *argument;                                                                            \
        va_list rest;                                                                              \
        int value;                                                                                 \
                                                                                                   \
        va_start(rest, command);                                                                   \
        argument = va_arg(rest, void *);                                                           \
        va_end(rest);                                                                              \
        if (decision.error) {                                                                      \
            errno = decision.error;                                                                \
            return -1;                                                                             \
        }                                                                                          \
        value = REAL(name)(fd, command, argument);                                                 \
        leave(&decision);                                                                          \
        return value;                                                                              \
    }
WRAP_FCNTL(fcntl)
WRAP_FCNTL(fcntl64)

WRAP(FAULT_FLOCK, -1, int, flock, (int fd, int operation), fd, operation)
WRAP(FAULT_LOCKF, -1, int, lockf, (int fd, int command, off_t length), fd, command, length)
WRAP(FAULT_LOCKF, -1, int, lockf64, (int fd, int command, off64_t length), fd, command, length)

EXPORTED_END
