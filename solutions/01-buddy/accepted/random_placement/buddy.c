/* Design: random placement.  Which of several blocks of the same size is split,
 * and which half of it is kept, is decided at random, so no test can rely on a
 * placement.  The table has the block's order for every unit of the block, with
 * the top bit set if it is in use.  It comes first in the metadata, followed by
 * struct buddy: the handle is not equal to meta.
 */
#include "buddy.h"

#include <assert.h>
#include <errno.h>
#include <stdalign.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { USED = 0x80, ORDER_MASK = 0x7f, NO_ORDER = 64 };

struct buddy {
    uint8_t *map;
    unsigned char *base;
    size_t nunits;
    unsigned unit_shift;
    uint64_t random;
};

static bool valid(size_t len_bytes, size_t min_bytes)
{
    return min_bytes >= 16 && (min_bytes & (min_bytes - 1)) == 0 && len_bytes >= min_bytes;
}

static size_t map_bytes(size_t len_bytes, size_t min_bytes)
{
    size_t align = alignof(struct buddy);

    return (len_bytes / min_bytes + align - 1) / align * align;
}

static bool flip_coin(struct buddy *b)
{
    b->random ^= b->random << 13;
    b->random ^= b->random >> 7;
    b->random ^= b->random << 17;
    return b->random >> 40 & 1;
}

static unsigned order_at(const struct buddy *b, size_t unit)
{
    return b->map[unit] & ORDER_MASK;
}

static void mark(struct buddy *b, size_t unit, unsigned order, unsigned used)
{
    size_t nunits = (size_t)1 << order;

    assert(unit % nunits == 0 && unit + nunits <= b->nunits);
    memset(b->map + unit, (int)(order | used), nunits);
}

size_t buddy_sizeof(size_t len_bytes, size_t min_block_bytes)
{
    if (!valid(len_bytes, min_block_bytes)) {
        errno = EINVAL;
        return 0;
    }
    return map_bytes(len_bytes, min_block_bytes) + sizeof(struct buddy);
}

struct buddy *buddy_init(void *meta, void *base, size_t len_bytes, size_t min_block_bytes)
{
    if (!valid(len_bytes, min_block_bytes) || meta == NULL || base == NULL ||
        (uintptr_t)base % min_block_bytes != 0) {
        errno = EINVAL;
        return NULL;
    }

    struct buddy *b = (void *)((uint8_t *)meta + map_bytes(len_bytes, min_block_bytes));

    *b = (struct buddy){.map = meta, .base = base, .random = 88172645463325252u};
    while ((size_t)1 << b->unit_shift < min_block_bytes)
        b->unit_shift++;
    b->nunits = len_bytes >> b->unit_shift;
    for (unsigned order = NO_ORDER; order-- > 0;)
        if (b->nunits >> order & 1)
            mark(b, b->nunits >> order >> 1 << order << 1, order, 0);
    return b;
}

void *buddy_alloc(struct buddy *b, size_t size_bytes)
{
    unsigned wanted = 0, order = NO_ORDER;
    size_t found = 0;

    if (size_bytes == 0) {
        errno = EINVAL;
        return NULL;
    }
    for (size_t last_unit = (size_bytes - 1) >> b->unit_shift; last_unit > 0; last_unit >>= 1)
        wanted++;
    for (size_t unit = 0; unit < b->nunits; unit += (size_t)1 << order_at(b, unit)) {
        unsigned k = order_at(b, unit);

        if (b->map[unit] & USED || k < wanted || k > order || (k == order && flip_coin(b)))
            continue;
        found = unit;
        order = k;
    }
    if (order == NO_ORDER) {
        errno = ENOMEM;
        return NULL;
    }
    while (order > wanted) {
        order--;
        mark(b, found, order, 0);
        mark(b, found + ((size_t)1 << order), order, 0);
        if (flip_coin(b))
            found += (size_t)1 << order;
    }
    mark(b, found, wanted, USED);
    return b->base + (found << b->unit_shift);
}

int buddy_free(struct buddy *b, void *block)
{
    uintptr_t offset_bytes = (uintptr_t)block - (uintptr_t)b->base;
    size_t unit = offset_bytes >> b->unit_shift, buddy;
    unsigned order;

    if (block == NULL)
        return 0;
    if (unit >= b->nunits || unit << b->unit_shift != offset_bytes || !(b->map[unit] & USED) ||
        unit % ((size_t)1 << order_at(b, unit)) != 0) {
        errno = EINVAL;
        return -1;
    }
    order = order_at(b, unit);
    while ((buddy = unit ^ (size_t)1 << order) < b->nunits && b->map[buddy] == order) {
        unit &= buddy;
        order++;
    }
    mark(b, unit, order, 0);
    return 0;
}

size_t buddy_blocks(const struct buddy *b, struct buddy_block *out, size_t max)
{
    size_t n = 0;

    for (size_t unit = 0; unit < b->nunits; unit += (size_t)1 << order_at(b, unit), n++)
        if (n < max)
            out[n] = (struct buddy_block){
                .offset_bytes = unit << b->unit_shift,
                .size_bytes = (size_t)1 << order_at(b, unit) << b->unit_shift,
                .used = b->map[unit] >> 7,
            };
    return n;
}
