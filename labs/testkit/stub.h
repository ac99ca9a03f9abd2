/* stub.h - makes a function of the contract callable in a test, in one line.
 *
 *     STUB(int, buddy_free, (struct buddy *b, void *block), b, block)
 *
 * defines buddy_free() for the test process: it forwards the call to the
 * current puppet, returns its value and sets errno.  Arguments are integers and
 * pointers, at most six; pointers point into the arena or come from the puppet.
 */
#ifndef STUB_H
#define STUB_H

#include <stddef.h>
#include <stdint.h>

/* Calls a function of the current puppet with args[0] to args[nargs - 1]. */
uint64_t remote_call(const char *function, size_t nargs, const uint64_t *args);

/* The same for a function of libc, which a test calls to set something up: no
 * definition of the submission, and no wrapper, is in the way. */
uint64_t libc_call(const char *function, size_t nargs, const uint64_t *args);

#define STUB_WORD(x) ((uint64_t)(x))
#define STUB_1(a) STUB_WORD(a)
#define STUB_2(a, ...) STUB_WORD(a), STUB_1(__VA_ARGS__)
#define STUB_3(a, ...) STUB_WORD(a), STUB_2(__VA_ARGS__)
#define STUB_4(a, ...) STUB_WORD(a), STUB_3(__VA_ARGS__)
#define STUB_5(a, ...) STUB_WORD(a), STUB_4(__VA_ARGS__)
#define STUB_6(a, ...) STUB_WORD(a), STUB_5(__VA_ARGS__)
#define STUB_7(a, ...) STUB_WORD(a), STUB_6(__VA_ARGS__)
#define STUB_PICK(a, b, c, d, e, f, g, pick, ...) pick
#define STUB_EACH(...)                                                                             \
    STUB_PICK(__VA_ARGS__, STUB_7, STUB_6, STUB_5, STUB_4, STUB_3, STUB_2, STUB_1, )(__VA_ARGS__)
/* The first word is not passed on: it is there because no array may be empty. */
#define STUB_WORDS(...) STUB_EACH(0, ##__VA_ARGS__)

#define STUB_CALL_BY(call, name, ...)                                                              \
    call(#name, sizeof((uint64_t[]){STUB_WORDS(__VA_ARGS__)}) / 8 - 1,                             \
         (uint64_t[]){STUB_WORDS(__VA_ARGS__)} + 1)

/* IN_PUPPET(sigprocmask, SIG_BLOCK, set, NULL) */
#define IN_PUPPET(name, ...) STUB_CALL_BY(libc_call, name, ##__VA_ARGS__)

/* (A function that returns char or bool leaves the upper bytes of the register
 * undefined, so a function of a contract returns nothing smaller than int.) */
#define STUB(type, name, params, ...)                                                              \
    _Static_assert(sizeof(type) >= sizeof(int), "an int, a size or a pointer");                    \
    type name params                                                                               \
    {                                                                                              \
        return (type)STUB_CALL_BY(remote_call, name, ##__VA_ARGS__);                               \
    }

#define STUB_VOID(name, params, ...)                                                               \
    void name params                                                                               \
    {                                                                                              \
        STUB_CALL_BY(remote_call, name, ##__VA_ARGS__);                                            \
    }

#endif
