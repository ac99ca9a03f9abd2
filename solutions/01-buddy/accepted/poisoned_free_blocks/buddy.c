/* Design: two bits per unit, "a block starts here" and "it is in use"; the size
 * of a block is the distance to the next start.  The free lists link unit
 * numbers, not pointers, and the rest of a free block is poisoned, as debugging
 * allocators do: the former contents are lost.
 */
#include "buddy.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { MAX_ORDERS = 60, START = 1, USED = 2, POISON = 0xdd };

static const uint64_t NONE = UINT64_MAX;

struct links {
    uint64_t next, prev; /* units, or NONE */
};

struct buddy {
    char *base;
    size_t min_bytes, nunits;
    uint64_t heads[MAX_ORDERS];
    uint8_t bits[]; /* four units in each byte */
};

static bool valid(size_t len_bytes, size_t min_bytes)
{
    return min_bytes >= 16 && (min_bytes & (min_bytes - 1)) == 0 && len_bytes >= min_bytes;
}

/* ---- bits ---- */

static unsigned get(const struct buddy *b, size_t unit)
{
    return b->bits[unit / 4] >> unit % 4 * 2 & 3;
}

static void put(struct buddy *b, size_t unit, unsigned value)
{
    unsigned shift = unit % 4 * 2;

    b->bits[unit / 4] = (uint8_t)((b->bits[unit / 4] & ~(3u << shift)) | value << shift);
}

/* The order of the block that starts at a unit: the smallest k for which the next
 * block starts at unit + 2^k. */
static unsigned order_of(const struct buddy *b, size_t unit)
{
    unsigned order = 0;

    while (unit + ((size_t)1 << order) < b->nunits &&
           !(get(b, unit + ((size_t)1 << order)) & START))
        order++;
    return order;
}

/* ---- free blocks ---- */

static struct links *at(const struct buddy *b, uint64_t unit)
{
    return (struct links *)(b->base + unit * b->min_bytes);
}

static void push(struct buddy *b, size_t unit, unsigned order)
{
    memset(at(b, unit), POISON, b->min_bytes << order);
    *at(b, unit) = (struct links){.next = b->heads[order], .prev = NONE};
    if (b->heads[order] != NONE)
        at(b, b->heads[order])->prev = unit;
    b->heads[order] = unit;
    put(b, unit, START);
}

static void pull(struct buddy *b, size_t unit, unsigned order)
{
    struct links links = *at(b, unit);

    if (links.prev == NONE)
        b->heads[order] = links.next;
    else
        at(b, links.prev)->next = links.next;
    if (links.next != NONE)
        at(b, links.next)->prev = links.prev;
}

/* ---- the contract ---- */

size_t buddy_sizeof(size_t len_bytes, size_t min_block_bytes)
{
    if (!valid(len_bytes, min_block_bytes)) {
        errno = EINVAL;
        return 0;
    }
    return sizeof(struct buddy) + (len_bytes / min_block_bytes + 3) / 4;
}

struct buddy *buddy_init(void *meta, void *base, size_t len_bytes, size_t min_block_bytes)
{
    struct buddy *b = meta;
    size_t unit = 0;

    if (!valid(len_bytes, min_block_bytes) || meta == NULL || base == NULL ||
        (uintptr_t)base % min_block_bytes != 0) {
        errno = EINVAL;
        return NULL;
    }
    b->base = base;
    b->min_bytes = min_block_bytes;
    b->nunits = len_bytes / min_block_bytes;
    memset(b->bits, 0, (b->nunits + 3) / 4);
    for (unsigned order = MAX_ORDERS; order-- > 0;) {
        b->heads[order] = NONE;
        if (b->nunits >> order & 1) {
            push(b, unit, order);
            unit += (size_t)1 << order;
        }
    }
    return b;
}

void *buddy_alloc(struct buddy *b, size_t size_bytes)
{
    unsigned wanted = 0, order;
    size_t unit;

    if (size_bytes == 0) {
        errno = EINVAL;
        return NULL;
    }
    while ((size_bytes - 1) / b->min_bytes >> wanted > 0)
        wanted++;
    for (order = wanted; order < MAX_ORDERS && b->heads[order] == NONE;)
        order++;
    if (order >= MAX_ORDERS) {
        errno = ENOMEM;
        return NULL;
    }
    unit = b->heads[order];
    pull(b, unit, order);
    while (order > wanted) {
        order--;
        push(b, unit, order);
        unit += (size_t)1 << order;
    }
    put(b, unit, START | USED);
    return at(b, unit);
}

int buddy_free(struct buddy *b, void *block)
{
    uintptr_t offset_bytes = (uintptr_t)block - (uintptr_t)b->base;
    size_t unit = offset_bytes / b->min_bytes;
    unsigned order;

    if (block == NULL)
        return 0;
    if (offset_bytes % b->min_bytes != 0 || unit >= b->nunits || get(b, unit) != (START | USED)) {
        errno = EINVAL;
        return -1;
    }
    for (order = order_of(b, unit);; order++) {
        size_t buddy = unit ^ (size_t)1 << order;

        if (buddy >= b->nunits || get(b, buddy) != START || order_of(b, buddy) != order)
            break;
        pull(b, buddy, order);
        put(b, unit | buddy, 0);
        unit &= buddy;
    }
    push(b, unit, order);
    return 0;
}

size_t buddy_blocks(const struct buddy *b, struct buddy_block *out, size_t max)
{
    size_t n = 0;

    for (size_t unit = 0; unit < b->nunits; n++) {
        unsigned order = order_of(b, unit);

        if (n < max)
            out[n] = (struct buddy_block){
                .offset_bytes = unit * b->min_bytes,
                .size_bytes = b->min_bytes << order,
                .used = get(b, unit) == (START | USED),
            };
        unit += (size_t)1 << order;
    }
    return n;
}
