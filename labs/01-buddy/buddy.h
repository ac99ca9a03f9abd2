/* buddy.h - power-of-two allocation of a region of memory: the contract.
 *
 * The allocator divides a region of len_bytes bytes at base into blocks.  A
 * block's size is min_block_bytes times a power of two, and its offset from
 * base is a multiple of its size.  Splitting a block in two halves makes a
 * pair of *buddies*; when both are free they are joined to one block again.
 *
 * The lecture's picture, a region of 128 units ('|' ends a block, letters are
 * blocks in use):
 *
 *                 0       16      32              64                      128
 *     at first    |                          128                            |
 *     A takes 16  |   A   |  16   |      32       |           64            |
 *     B takes 32  |   A   |  16   |       B       |           64            |
 *     C takes  8  |   A   | C | 8 |       B       |           64            |
 *     A leaves    |  16   | C | 8 |       B       |           64            |
 *     C leaves    |      32       |       B       |           64            |
 *     B leaves    |                          128                            |
 *
 * The last but one step joins twice: 8 + 8, then 16 + 16.  It does not join
 * 32 and 64, nor would it join B's neighbours: they are no buddies.
 *
 * For all functions: sizes and offsets are in bytes.  A function that fails
 * sets errno as its comment says and changes nothing else.  One allocator is
 * used by one thread at a time.
 *
 * Everything that an allocator knows lies in its metadata and in its free
 * blocks: it calls no malloc and has no static variables.  So any number of
 * allocators work side by side, and a copy of both memories, put back in
 * place later, is the allocator as it was.
 */
#ifndef BUDDY_H
#define BUDDY_H

#include <stddef.h>

struct buddy; /* an allocator; yours to define, in buddy.c */

/* One block of the region, as buddy_blocks() shows it. */
struct buddy_block {
    size_t offset_bytes; /* from base */
    size_t size_bytes;
    int used; /* 1: handed out by buddy_alloc(), 0: free */
};

/* The size of the metadata that a region needs: at most 1.6 % of len_bytes
 * plus 1 KiB when min_block_bytes is 64.
 *
 * Returns 0 with EINVAL when min_block_bytes is not a power of two or is less
 * than 16, or when len_bytes is less than min_block_bytes. */
size_t buddy_sizeof(size_t len_bytes, size_t min_block_bytes);

/* Makes an allocator of the region at base, all of it free.
 *
 * meta has the size that buddy_sizeof() gives for the same arguments and is
 * aligned for any type.  base is aligned to min_block_bytes and perhaps to no
 * more.  Both may hold anything, what an allocator before left there too.
 * Both belong to the caller.  As long as the allocator is needed nobody else
 * writes to meta, nor to the region but for the blocks in use.  There is
 * nothing to give back at its end.
 *
 * len_bytes is rounded down to a multiple of min_block_bytes.  The blocks at
 * first are the largest that fit, from offset 0 on: 7 * min_block_bytes are
 * blocks of 4, 2 and 1.  These have no buddies and are never joined; their
 * halves are.
 *
 * Returns NULL with EINVAL for sizes that buddy_sizeof() refuses, when meta or
 * base is NULL, or when base is not a multiple of min_block_bytes. */
struct buddy *buddy_init(void *meta, void *base, size_t len_bytes, size_t min_block_bytes);

/* Takes a block of at least size_bytes: size_bytes rounded up to a power of
 * two, and at least min_block_bytes.
 *
 * It comes out of the smallest free block that is large enough (any of them,
 * when there are several).  That one is halved until it has the right size;
 * which half is kept at each step is up to you.
 *
 * The block, up to its rounded size, belongs to the caller until buddy_free().
 * Until then the allocator neither reads nor writes it.  What it holds at first
 * is undefined.
 *
 * Returns NULL with EINVAL when size_bytes is 0, with ENOMEM when there is no
 * free block that is large enough. */
void *buddy_alloc(struct buddy *b, size_t size_bytes);

/* Gives a block back, and joins it with its buddy as long as that is free and
 * of the same size.  NULL is no block: nothing is done, and that is no error.
 *
 * Returns 0, or -1 with EINVAL when block is no block in use: it was freed
 * already, it points into the middle of one, or it lies outside the region. */
int buddy_free(struct buddy *b, void *block);

/* The block map: writes all blocks of the region, used and free, in the order
 * of their offsets, to out[0], out[1], ...  but no more than max of them.
 * out may be NULL when max is 0.
 *
 * Returns the number of blocks that there are, which may be more than max.
 * Never fails. */
size_t buddy_blocks(const struct buddy *b, struct buddy_block *out, size_t max);

#endif
