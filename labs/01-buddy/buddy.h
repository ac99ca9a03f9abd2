/* buddy.h - power-of-two allocation in a region of memory: the contract.
 *
 * The allocator divides a region of len_bytes bytes at base into blocks.  The
 * size of a block is min_block_bytes times a power of two: 2^k for a block of
 * *order* k.  Its offset from base is a multiple of its size (alignment).
 * Splitting a block into two halves makes a pair of *buddies*; when both are
 * free, they coalesce (merge) into one block again.
 *
 * The lecture's example, a region of 128 units ('|' ends a block, letters are
 * blocks in use):
 *
 *                 0       16      32              64                      128
 *     initially   |                          128                            |
 *     alloc A, 16 |   A   |  16   |      32       |           64            |
 *     alloc B, 32 |   A   |  16   |       B       |           64            |
 *     alloc C, 8  |   A   | C | 8 |       B       |           64            |
 *     free A      |  16   | C | 8 |       B       |           64            |
 *     free C      |      32       |       B       |           64            |
 *     free B      |                          128                            |
 *
 * Freeing C coalesces twice: 8 + 8, then 16 + 16.  It stops there, because the
 * buddy of this 32 is B, which is in use.  Adjacent blocks that are not buddies
 * never coalesce, even if both are free.
 *
 * For all functions: sizes and offsets are in bytes.  A function that fails
 * sets errno as its comment says and changes nothing else.  An allocator is
 * used by one thread at a time.
 *
 * All state of an allocator lies in its metadata and in its free blocks: it does
 * not call malloc() and has no static variables.  Several allocators therefore
 * work independently, and an allocator can be restored by copying the metadata
 * and the region back to where they were.
 */
#ifndef BUDDY_H
#define BUDDY_H

#include <stddef.h>

struct buddy; /* an allocator; yours to define, in buddy.c */

/* One block of the region, as buddy_blocks() shows it. */
struct buddy_block {
    size_t offset_bytes; /* from base */
    size_t size_bytes;
    int used; /* 1: in use, returned by buddy_alloc(); 0: free */
};

/* Returns the size of the metadata that a region needs.  When min_block_bytes is
 * 64, this is at most 1.6 % of len_bytes plus 1 KiB, for any length up to many
 * GiB.
 *
 * Returns 0 with EINVAL when min_block_bytes is not a power of two or is less
 * than 16, or when len_bytes is less than min_block_bytes. */
size_t buddy_sizeof(size_t len_bytes, size_t min_block_bytes);

/* Creates an allocator for the region at base; all of the region is free.
 * Returns a handle for the other functions.
 *
 * meta points to as many bytes as buddy_sizeof() returns for the same arguments,
 * aligned for any type.  base is aligned to min_block_bytes, and not necessarily
 * to more.  The contents of both are arbitrary: uninitialised, or left over from
 * an earlier allocator.  Both belong to the caller; it must not write to meta
 * or to free blocks while the allocator is in use.  There is no function that
 * destroys an allocator: it holds no other resources.
 *
 * len_bytes is rounded down to a multiple of min_block_bytes.  The initial
 * blocks are the largest that fit, from offset 0 on: 7 * min_block_bytes are
 * divided into blocks of 4, 2 and 1 times min_block_bytes.  The initial blocks
 * have no buddies and never coalesce with each other; their halves do.
 *
 * Returns NULL with EINVAL for sizes that buddy_sizeof() rejects, when meta or
 * base is NULL, or when base is not a multiple of min_block_bytes.  Nothing is
 * written to meta or to the region then. */
struct buddy *buddy_init(void *meta, void *base, size_t len_bytes, size_t min_block_bytes);

/* Allocates a block.  Its size is size_bytes rounded up to a power of two, and at
 * least min_block_bytes.
 *
 * The block is taken from the smallest free block that is large enough (best
 * fit), any of them if there are several.  That block is split until it has the
 * right size; which half is kept at each step is up to you.
 *
 * The block, up to its rounded size, belongs to the caller until buddy_free().
 * Until then the allocator neither reads nor writes it.  Its initial contents
 * are undefined.
 *
 * Returns the address of the block.  Returns NULL with EINVAL when size_bytes is
 * 0, and with ENOMEM when no free block is large enough: also when size_bytes is
 * larger than the region, up to SIZE_MAX. */
void *buddy_alloc(struct buddy *b, size_t size_bytes);

/* Frees a block and coalesces it with its buddy, repeatedly, as long as the buddy
 * is free and of the same size.  If block is NULL, nothing is done; this is not
 * an error.
 *
 * Returns 0, or -1 with EINVAL when block is not the address of a block in use:
 * a double free, an interior pointer, or a pointer outside the region. */
int buddy_free(struct buddy *b, void *block);

/* Reports the block map: writes the blocks of the region, in use and free, in
 * the order of their offsets, to out[0], out[1], ..., at most max of them.  out
 * may be NULL when max is 0.
 *
 * Returns the number of all blocks of the region, which may be larger than max.
 * Never fails. */
size_t buddy_blocks(const struct buddy *b, struct buddy_block *out, size_t max);

#endif
