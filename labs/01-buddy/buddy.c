/* buddy.c - power-of-two allocation; the contract is in buddy.h.
 *
 * Sizes and offsets are counted in units: one unit is min_block_bytes.  A block
 * of order k has 2^k units; unit u starts at base + u * min_block_bytes.
 */
#include "buddy.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Theory
 *
 * This skeleton already works as long as one block is enough: the region is a
 * single block, free or in use.  Three questions remain for you.
 *
 * Where are the free blocks?  Nobody else uses the memory of a free block, and
 * two pointers fit into it (min_block_bytes is at least 16).  So the links of a
 * free list can lie in the free blocks themselves, one list for each size.
 *
 * What does a pointer point to?  buddy_free() gets an address and no size.
 * Something must record where blocks start and how large they are: a table in
 * the metadata, which has about one byte for every 64 bytes of the region.
 *
 * Which block is the buddy?  The halves of a block of 2^(k+1) units start at
 * units u and u + 2^k, where u is a multiple of 2^(k+1).  The two numbers
 * differ in exactly one bit.
 */
struct buddy {
    char *base;
    size_t len_bytes;
    bool used; /* TODO(01-buddy): replace by bookkeeping for many blocks */
};

static bool sizes_are_valid(size_t len_bytes, size_t min_block_bytes)
{
    bool power_of_two = (min_block_bytes & (min_block_bytes - 1)) == 0;

    return power_of_two && min_block_bytes >= 16 && len_bytes >= min_block_bytes;
}

static void *null_with(int error)
{
    errno = error;
    return NULL;
}

/* ---- the contract ---- */

size_t buddy_sizeof(size_t len_bytes, size_t min_block_bytes)
{
    if (!sizes_are_valid(len_bytes, min_block_bytes)) {
        errno = EINVAL;
        return 0;
    }
    /* TODO(01-buddy): add what your bookkeeping needs */
    return sizeof(struct buddy);
}

struct buddy *buddy_init(void *meta, void *base, size_t len_bytes, size_t min_block_bytes)
{
    struct buddy *b = meta;

    if (!sizes_are_valid(len_bytes, min_block_bytes))
        return null_with(EINVAL);
    /* TODO(01-buddy): reject the other invalid arguments; a region whose length
     * is not a power of two starts as several blocks */
    b->base = base;
    b->len_bytes = len_bytes;
    b->used = false;
    return b;
}

void *buddy_alloc(struct buddy *b, size_t size_bytes)
{
    if (size_bytes == 0)
        return null_with(EINVAL);
    /* TODO(01-buddy): find the smallest free block that fits, and split it
     * until it has the right size */
    if (b->used || size_bytes > b->len_bytes)
        return null_with(ENOMEM);
    b->used = true;
    return b->base;
}

int buddy_free(struct buddy *b, void *block)
{
    if (block == NULL)
        return 0;
    /* TODO(01-buddy): reject what is not a block in use; coalesce the block
     * with its buddy, again and again while that is possible */
    b->used = false;
    return 0;
}

size_t buddy_blocks(const struct buddy *b, struct buddy_block *out, size_t max)
{
    size_t n = 0;
    /* TODO(01-buddy): report all blocks; do this early, as it shows what your
     * allocator does */
    if (max > 0)
        out[0] = (struct buddy_block){.size_bytes = b->len_bytes, .used = b->used};
    n = 1;
    return n;
}
