/* wrap_memory.c - wrappers around allocations and memory mappings (wrap.h).
 */
#include <malloc.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "wrap.h"

/* dlopen() and dlsym() may allocate.  So what they call is known without them: glibc's
 * functions by their other names.  From find_glibc() on it is what dlsym() finds, which
 * under Valgrind is Memcheck's. */
extern void *__libc_malloc(size_t bytes);
extern void *__libc_calloc(size_t n, size_t bytes);
extern void *__libc_realloc(void *block, size_t bytes);
extern void __libc_free(void *block);

static struct {
    void *(*malloc)(size_t);
    void *(*calloc)(size_t, size_t);
    void *(*realloc)(void *, size_t);
    void (*free)(void *);
} glibc = {__libc_malloc, __libc_calloc, __libc_realloc, __libc_free};

__attribute__((constructor)) static void find_glibc(void)
{
    glibc.malloc = (__typeof__(glibc.malloc))libc_function("malloc");
    glibc.calloc = (__typeof__(glibc.calloc))libc_function("calloc");
    glibc.realloc = (__typeof__(glibc.realloc))libc_function("realloc");
    glibc.free = (__typeof__(glibc.free))libc_function("free");
}

/* glibc's ends with a jump to realloc(), which would ask again. */
static void *resize_array(void *block, size_t n, size_t bytes)
{
    size_t total;

    if (__builtin_mul_overflow(n, bytes, &total)) {
        errno = ENOMEM;
        return NULL;
    }
    return glibc.realloc(block, total);
}

EXPORTED_BEGIN

/* ---- allocations --------------------------------------------------------- */

/* A call that need not ask ends with a jump to libc's function: the wrapper has no
 * frame in Memcheck's stacks.  is_new: whether the call, which returned `value`, has
 * made a block. */
#define WRAP_ALLOCATION(type, failure, is_new, name, function, params, ...)                        \
    __attribute__((noinline)) static type ask_##name params                                        \
    {                                                                                              \
        struct decision decision = enter(FAULT_MALLOC);                                            \
        type value;                                                                                \
                                                                                                   \
        if (decision.error)                                                                        \
            return failure;                                                                        \
        value = function(__VA_ARGS__);                                                             \
        leave(&decision);                                                                          \
        if (is_new)                                                                                \
            count_block(HEAP_ALLOCATED);                                                           \
        return value;                                                                              \
    }                                                                                              \
                                                                                                   \
    type name params                                                                               \
    {                                                                                              \
        if (allocation_asks(__builtin_return_address(0)))                                          \
            return ask_##name(__VA_ARGS__);                                                        \
        return function(__VA_ARGS__);                                                              \
    }

#define WRAP_BLOCK(type, is_new, ...)                                                              \
    WRAP_ALLOCATION(type, (errno = decision.error, NULL), is_new, __VA_ARGS__)
#define WRAP_POINTER(...) WRAP_BLOCK(void *, value != NULL, __VA_ARGS__)
#define WRAP_RESIZE(...) WRAP_BLOCK(void *, value != NULL && block == NULL, __VA_ARGS__)
#define WRAP_STRING(...) WRAP_BLOCK(char *, value != NULL, __VA_ARGS__)

WRAP_POINTER(malloc, glibc.malloc, (size_t bytes), bytes)
WRAP_POINTER(calloc, glibc.calloc, (size_t n, size_t bytes), n, bytes)
WRAP_RESIZE(realloc, glibc.realloc, (void *block, size_t bytes), block, bytes)
WRAP_RESIZE(reallocarray, resize_array, (void *block, size_t n, size_t bytes), block, n, bytes)
FIND(aligned_alloc)
WRAP_POINTER(aligned_alloc, REAL(aligned_alloc), (size_t align, size_t bytes), align, bytes)
FIND(memalign)
WRAP_POINTER(memalign, REAL(memalign), (size_t align, size_t bytes), align, bytes)
FIND(posix_memalign)
WRAP_ALLOCATION(int, decision.error, value == 0, posix_memalign, REAL(posix_memalign),
                (void **block, size_t align, size_t bytes), block, align, bytes)
FIND(strdup)
WRAP_STRING(strdup, REAL(strdup), (const char *text), text)
FIND(strndup)
WRAP_STRING(strndup, REAL(strndup), (const char *text, size_t max), text, max)

void free(void *block)
{
    if (block && allocation_asks(__builtin_return_address(0)))
        count_block(HEAP_FREED);
    glibc.free(block);
}

/* ---- memory mappings ---------------------------------------------------- */

/* An address that the test proposes is a hint: where it does not fit, any other
 * address is good.  The caller's own wish comes first. */
#define WRAP_MMAP(name, offset_type)                                                               \
    FIND(name)                                                                                     \
    void *name(void *at, size_t len, int prot, int flags, int fd, offset_type offset)              \
    {                                                                                              \
        struct decision decision = enter(FAULT_MMAP);                                              \
        void *value;                                                                               \
                                                                                                   \
        if (decision.error) {                                                                      \
            errno = decision.error;                                                                \
            return MAP_FAILED;                                                                     \
        }                                                                                          \
        if (!at && (flags & MAP_TYPE) != MAP_PRIVATE)                                              \
            at = decision.address;                                                                 \
        value = REAL(name)(at, len, prot, flags, fd, offset);                                      \
        leave(&decision);                                                                          \
        return value;                                                                              \
    }
WRAP_MMAP(mmap, off_t)
WRAP_MMAP(mmap64, off64_t)

WRAP(FAULT_MUNMAP, -1, int, munmap, (void *at, size_t len), at, len)

EXPORTED_END
