/* posix_mapping.h - how ring.c creates, attaches and removes named memory.
 *
 * Given, like posix_mapping.c: neither is edited or handed in, and the grader
 * compiles its own copies.  ring.c calls the functions of struct backend and
 * need not know which kind of shared memory is behind them.  posix_backend is
 * complete; the same four functions for System V are part of the lab, in
 * ring.c.
 */
#ifndef POSIX_MAPPING_H
#define POSIX_MAPPING_H

#include <stddef.h>

/* One kind of named shared memory.  Every function returns 0, or -1 and sets
 * errno; a call that failed leaves nothing behind.
 *
 * create   creates the memory of that name, all zero, and maps it.
 *          EEXIST if the name is taken.
 * attach   maps the memory of that name and stores its size.
 *          ENOENT if there is none; EAGAIN if its creator has not given it a
 *          size yet.
 * detach   ends the mapping that create or attach stored in *base; the memory
 *          and its name stay.
 * remove   removes the name; the memory is freed when no process maps it any
 *          more.  ENOENT if there is none. */
struct backend {
    int (*create)(const char *name, size_t size_bytes, void **base);
    int (*attach)(const char *name, void **base, size_t *size_bytes);
    int (*detach)(void *base, size_t size_bytes);
    int (*remove)(const char *name);
};

/* The POSIX shared memory object "/NAME", created with mode 0600. */
extern const struct backend posix_backend;

#endif
