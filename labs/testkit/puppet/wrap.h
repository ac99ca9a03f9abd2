/* wrap.h - how a wrapper around a call to libc is written (wrap_*.c).
 *
 *     WRAP(FAULT_DUP, -1, int, dup, (int fd), fd)
 *
 * defines dup() over libc's: where the control page says that FAULT_DUP is armed,
 * it asks the test first, and then fails or calls libc's.  A wrapper that does
 * more is written out: FIND() before it, and in it enter(), libc's function by REAL(),
 * leave().
 *
 * The definitions stand between EXPORTED_BEGIN and EXPORTED_END: only these names
 * are exported, so that no name of the submission resolves to another one of the
 * puppet's.
 */
#ifndef WRAP_H
#define WRAP_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "libc.h"
#include "shared/fault_calls.h"

#define EXPORTED_BEGIN _Pragma("GCC visibility push(default)")
#define EXPORTED_END _Pragma("GCC visibility pop")

/* What the test said of one call. */
struct decision {
    enum fault_call call;
    int error;      /* 0: the call is made */
    size_t at_most; /* bytes, for read and write */
    void *address;  /* for a mapping, or NULL */
    bool ask_after; /* the test wants to know that the call has returned */
    pid_t parent;   /* of the process that the call creates, or 0 */
};

/* Before the call: asks the test, if the call is armed. */
struct decision enter(enum fault_call);
/* After it: tells the test, if it wants to know. */
void leave(const struct decision *);

/* Whether allocations are armed or counted, and one with this return address is the
 * submission's own.  libc's functions, fopen() for example, call the executable's
 * malloc() too. */
bool allocation_asks(const void *return_address);
/* HEAP_ALLOCATED or HEAP_FREED: tells the test, if it counts. */
void count_block(enum fault_call);
/* Whether this process is a forked child of the puppet, while calls can ask. */
bool in_armed_child(void);

/* Finds the function of this name that the executable's definition hides, before any
 * thread or signal handler needs it: dlopen() takes locks. */
#define FIND(name)                                                                                 \
    static __typeof__(&name) real_##name;                                                          \
    __attribute__((constructor)) static void find_##name(void)                                     \
    {                                                                                              \
        real_##name = (__typeof__(&name))libc_function(#name);                                     \
    }

/* That function.  A library's constructor may call it before FIND() has. */
#define REAL(name) (real_##name ? real_##name : (find_##name(), real_##name))

/* A wrapper for a call that reports failure by `failure` and errno. */
#define WRAP(call, failure, type, name, params, ...)                                               \
    FIND(name)                                                                                     \
    type name params                                                                               \
    {                                                                                              \
        struct decision decision = enter(call);                                                    \
        type value;                                                                                \
                                                                                                   \
        if (decision.error) {                                                                      \
            errno = decision.error;                                                                \
            return failure;                                                                        \
        }                                                                                          \
        value = REAL(name)(__VA_ARGS__);                                                           \
        leave(&decision);                                                                          \
        return value;                                                                              \
    }

/* A wrapper for a call that returns its error number. */
#define WRAP_VALUE(call, name, params, ...)                                                        \
    FIND(name)                                                                                     \
    int name params                                                                                \
    {                                                                                              \
        struct decision decision = enter(call);                                                    \
        int value;                                                                                 \
                                                                                                   \
        if (decision.error)                                                                        \
            return decision.error;                                                                 \
        value = REAL(name)(__VA_ARGS__);                                                           \
        leave(&decision);                                                                          \
        return value;                                                                              \
    }

#endif
