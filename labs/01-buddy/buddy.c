/* buddy.c - power-of-two allocation, the contract in buddy.h.
 * Counts in units: one unit is min_block_bytes.  A block of order k has 2^k
 * units; unit u lies at base + u * min_block_bytes.
 */
#include "buddy.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Theory
 *
 * This one works already, as long as nobody wants more than one block: the
 * region is one block, used or free.  That leaves you three things to find.
 *
 * Where are the free blocks?  A free block is memory that nobody uses, and
 * has room for two pointers (min_block_bytes is at least 16): the links of a
 * list of all free blocks of its size can lie in it.
 *
 * What does a pointer point at?  buddy_free() gets an address and no size.
 * Something must tell how large the block is, and whether there is one: a
 * table in the metadata, which has about one byte for each 64 of the region.
 *
 * Who is the buddy?  The halves of a block of 2^(k+1) units start at unit u
 * and u + 2^k, where u is a multiple of 2^(k+1).  So their numbers differ in
 * one bit.
 */
struct buddy {
    char *base;
    size_t len_bytes;
    bool used; /* TODO(01-buddy): replace by what knows about many blocks */
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
    /* TODO(01-buddy): and what your bookkeeping needs */
    return sizeof(struct buddy);
}

struct buddy *buddy_init(void *meta, void *base, size_t len_bytes, size_t min_block_bytes)
{
    struct buddy *b = meta;

    if (!sizes_are_valid(len_bytes, min_block_bytes))
        return null_with(EINVAL);
    /* TODO(01-buddy): refuse what else the contract refuses; a length that is
     * no power of two is several blocks */
    b->base = base;
    b->len_bytes = len_bytes;
    b->used = false;
    return b;
}

void *buddy_alloc(struct buddy *b, size_t size_bytes)
{
    if (size_bytes == 0)
        return null_with(EINVAL);
    /* TODO(01-buddy): find the smallest free block that fits, and halve it
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
    /* TODO(01-buddy): refuse what is no block in use; join the block with its
     * buddy as often as that is possible */
    b->used = false;
    return 0;
}

size_t buddy_blocks(const struct buddy *b, struct buddy_block *out, size_t max)
{
    size_t n = 0;
    /* TODO(01-buddy): all blocks; do this early, it is how you see what your
     * allocator does */
    if (max > 0)
        out[0] = (struct buddy_block){.size_bytes = b->len_bytes, .used = b->used};
    n = 1;
    return n;
}
