/* stubs.c - the functions of buddy.h as the tests call them: each call is
 * forwarded to the puppet that has loaded the submission. */
#include "buddy.h"
#include "stub.h"

STUB(size_t, buddy_sizeof, (size_t len_bytes, size_t min_block_bytes), len_bytes, min_block_bytes)
STUB(struct buddy *, buddy_init, (void *meta, void *base, size_t len_bytes, size_t min_block_bytes),
     meta, base, len_bytes, min_block_bytes)
STUB(void *, buddy_alloc, (struct buddy * b, size_t size_bytes), b, size_bytes)
STUB(int, buddy_free, (struct buddy * b, void *block), b, block)
STUB(size_t, buddy_blocks, (const struct buddy *b, struct buddy_block *out, size_t max), b, out,
     max)
