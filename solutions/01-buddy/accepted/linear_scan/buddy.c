/* Design: one byte per unit and no free lists.  sizes[u] is the block's order + 1
 * where a block starts, with the top bit set if it is in use, and 0 inside a
 * block.  Allocation scans all blocks in the order of their addresses for the
 * best fit: slow, short, and hard to get wrong.  Keeps the upper half of what it
 * splits: the lecture's picture mirrored.
 */
#include "buddy.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

enum { USED = 0x80 };

struct buddy {
    char *base;
    size_t min_bytes, nunits;
    uint8_t sizes[];
};

static size_t units(uint8_t size)
{
    return (size_t)1 << ((size & ~USED) - 1);
}

size_t buddy_sizeof(size_t len_bytes, size_t min_block_bytes)
{
    if (min_block_bytes < 16 || (min_block_bytes & (min_block_bytes - 1)) != 0 ||
        len_bytes < min_block_bytes) {
        errno = EINVAL;
        return 0;
    }
    return sizeof(struct buddy) + len_bytes / min_block_bytes;
}

struct buddy *buddy_init(void *meta, void *base, size_t len_bytes, size_t min_block_bytes)
{
    size_t meta_bytes = buddy_sizeof(len_bytes, min_block_bytes);
    struct buddy *b = meta;

    if (meta_bytes == 0)
        return NULL;
    if (meta == NULL || base == NULL || (uintptr_t)base % min_block_bytes != 0) {
        errno = EINVAL;
        return NULL;
    }
    memset(meta, 0, meta_bytes);
    b->base = base;
    b->min_bytes = min_block_bytes;
    b->nunits = len_bytes / min_block_bytes;
    for (size_t unit = 0; unit < b->nunits; unit += units(b->sizes[unit])) {
        b->sizes[unit] = 1;
        while (units(b->sizes[unit]) <= (b->nunits - unit) / 2)
            b->sizes[unit]++;
    }
    return b;
}

void *buddy_alloc(struct buddy *b, size_t size_bytes)
{
    uint8_t wanted = 1;
    size_t best = SIZE_MAX;

    if (size_bytes == 0) {
        errno = EINVAL;
        return NULL;
    }
    while (wanted < 62 && units(wanted) <= (size_bytes - 1) / b->min_bytes)
        wanted++;
    for (size_t unit = 0; unit < b->nunits; unit += units(b->sizes[unit]))
        if (!(b->sizes[unit] & USED) && b->sizes[unit] >= wanted &&
            (best == SIZE_MAX || b->sizes[unit] < b->sizes[best]))
            best = unit;
    if (best == SIZE_MAX) {
        errno = ENOMEM;
        return NULL;
    }
    while (b->sizes[best] > wanted) {
        uint8_t half = (uint8_t)(b->sizes[best] - 1);

        b->sizes[best] = half;
        best += units(half);
        b->sizes[best] = half;
    }
    b->sizes[best] |= USED;
    return b->base + best * b->min_bytes;
}

int buddy_free(struct buddy *b, void *block)
{
    uintptr_t offset_bytes = (uintptr_t)block - (uintptr_t)b->base;
    size_t unit = offset_bytes / b->min_bytes;

    if (block == NULL)
        return 0;
    if (offset_bytes % b->min_bytes != 0 || unit >= b->nunits || !(b->sizes[unit] & USED)) {
        errno = EINVAL;
        return -1;
    }
    b->sizes[unit] &= (uint8_t)~USED;
    for (;;) {
        uint8_t size = b->sizes[unit];
        size_t buddy = unit ^ units(size);

        if (buddy >= b->nunits || b->sizes[buddy] != size)
            return 0;
        b->sizes[unit > buddy ? unit : buddy] = 0;
        unit = unit < buddy ? unit : buddy;
        b->sizes[unit]++;
    }
}

size_t buddy_blocks(const struct buddy *b, struct buddy_block *out, size_t max)
{
    size_t n = 0;

    for (size_t unit = 0; unit < b->nunits; unit += units(b->sizes[unit])) {
        if (n < max) {
            out[n].offset_bytes = unit * b->min_bytes;
            out[n].size_bytes = units(b->sizes[unit]) * b->min_bytes;
            out[n].used = (b->sizes[unit] & USED) != 0;
        }
        n++;
    }
    return n;
}
