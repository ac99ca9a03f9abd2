/* stubs.c - the contract of ring.h as the tests call it: each call goes to
 * the puppet that has loaded the submission. */
#include "ring.h"
#include "stub.h"
#include "testkit.h"

__attribute__((constructor)) static void no_function_starts_a_process(void)
{
    forbid_children();
}

STUB(struct ring *, ring_open,
     (const char *name, int backend, size_t capacity_bytes, unsigned flags), name, backend,
     capacity_bytes, flags)
STUB(int, ring_put, (struct ring * ring, const void *buf, size_t len, int timeout_ms), ring, buf,
     len, timeout_ms)
STUB(ssize_t, ring_get, (struct ring * ring, void *buf, size_t size, int timeout_ms), ring, buf,
     size, timeout_ms)
STUB(int, ring_close, (struct ring * ring), ring)
STUB(int, ring_destroy, (const char *name, int backend), name, backend)
