/* Design: a binary tree of bit sets; nothing is stored in the free blocks.  Each
 * node of the complete binary tree over the region holds the set of orders of
 * the free blocks at or below it, one bit per order, and one bit "this node is a
 * block in use".  A node's set is the union of its children's sets, so the root
 * tells which orders are available, and a walk down finds a block.
 *
 * A node of order k needs k + 2 bits, rounded up to a power of two: about
 * 7 bits per unit for the whole tree.  Every node below a block, free or in use,
 * is marked as free: nothing there changes when the block is split, and a walk
 * up from the bottom finds the block in use.
 */
#include "buddy.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { MAX_ORDERS = 62 };

struct buddy {
    unsigned char *base;
    size_t min_bytes;
    size_t nunits;
    unsigned top;                /* order of the root */
    size_t level_at[MAX_ORDERS]; /* index in sets of the nodes of an order */
    uint8_t sets[];
};

static bool valid(size_t len_bytes, size_t min_bytes)
{
    return min_bytes >= 16 && (min_bytes & (min_bytes - 1)) == 0 && len_bytes >= min_bytes;
}

static unsigned top_order(size_t nunits)
{
    return nunits == 1 ? 0 : 64 - (unsigned)__builtin_clzll(nunits - 1);
}

/* The number of nodes of an order; the last one may extend past the end. */
static size_t nodes_of(size_t nunits, unsigned order)
{
    return ((nunits - 1) >> order) + 1;
}

static unsigned width_bits(unsigned order)
{
    return order <= 0    ? 2
           : order <= 2  ? 4
           : order <= 6  ? 8
           : order <= 14 ? 16
           : order <= 30 ? 32
                         : 64;
}

static size_t level_bytes(size_t nunits, unsigned order)
{
    return (nodes_of(nunits, order) * width_bits(order) + 7) / 8;
}

/* ---- a node's set ---- */

static uint64_t own_bit(unsigned order)
{
    return (uint64_t)1 << order;
}

static uint64_t used_bit(unsigned order)
{
    return (uint64_t)2 << order;
}

/* Little-endian: the first bytes of a word are its low ones. */
static uint64_t get(const struct buddy *b, unsigned order, size_t node)
{
    const uint8_t *level = b->sets + b->level_at[order];
    unsigned width = width_bits(order);
    uint64_t set = 0;

    if (node >= nodes_of(b->nunits, order))
        return 0;
    if (width < 8) {
        size_t bit = node * width;
        return level[bit / 8] >> bit % 8 & ((1u << width) - 1);
    }
    memcpy(&set, level + node * (width / 8), width / 8);
    return set;
}

static void put(struct buddy *b, unsigned order, size_t node, uint64_t set)
{
    uint8_t *level = b->sets + b->level_at[order];
    unsigned width = width_bits(order);

    if (width < 8) {
        size_t bit = node * width;
        unsigned mask = ((1u << width) - 1) << bit % 8;

        level[bit / 8] = (uint8_t)((level[bit / 8] & ~mask) | (unsigned)set << bit % 8);
    } else {
        memcpy(level + node * (width / 8), &set, width / 8);
    }
}

/* The set of a node, computed from its children. */
static uint64_t union_of_children(const struct buddy *b, unsigned order, size_t node)
{
    uint64_t half = own_bit(order - 1);
    uint64_t left = get(b, order - 1, 2 * node), right = get(b, order - 1, 2 * node + 1);

    if (left == half && right == half)
        return own_bit(order);
    return (left | right) & ~used_bit(order - 1);
}

static void update_ancestors(struct buddy *b, unsigned order, size_t node)
{
    while (order < b->top) {
        order++;
        node /= 2;
        put(b, order, node, union_of_children(b, order, node));
    }
}

/* ---- the contract ---- */

size_t buddy_sizeof(size_t len_bytes, size_t min_block_bytes)
{
    size_t size = sizeof(struct buddy);

    if (!valid(len_bytes, min_block_bytes)) {
        errno = EINVAL;
        return 0;
    }

    size_t nunits = len_bytes / min_block_bytes;
    for (unsigned order = 0; order <= top_order(nunits); order++)
        size += level_bytes(nunits, order);
    return size;
}

struct buddy *buddy_init(void *meta, void *base, size_t len_bytes, size_t min_block_bytes)
{
    struct buddy *b = meta;
    size_t at = 0;

    if (!valid(len_bytes, min_block_bytes) || meta == NULL || base == NULL ||
        (uintptr_t)base % min_block_bytes != 0) {
        errno = EINVAL;
        return NULL;
    }
    memset(meta, 0, buddy_sizeof(len_bytes, min_block_bytes));
    b->base = base;
    b->min_bytes = min_block_bytes;
    b->nunits = len_bytes / min_block_bytes;
    b->top = top_order(b->nunits);
    for (unsigned order = 0; order <= b->top; order++) {
        b->level_at[order] = at;
        at += level_bytes(b->nunits, order);
    }
    for (size_t unit = 0; unit < b->nunits; unit++)
        put(b, 0, unit, own_bit(0));
    for (unsigned order = 1; order <= b->top; order++)
        for (size_t node = 0; node < nodes_of(b->nunits, order); node++)
            put(b, order, node, union_of_children(b, order, node));
    return b;
}

void *buddy_alloc(struct buddy *b, size_t size_bytes)
{
    if (size_bytes == 0) {
        errno = EINVAL;
        return NULL;
    }

    size_t last_unit = (size_bytes - 1) / b->min_bytes;
    unsigned wanted = top_order(last_unit + 1);
    uint64_t root = get(b, b->top, 0) & (used_bit(b->top) - 1);
    uint64_t fits = wanted <= b->top ? root >> wanted << wanted : 0;
    if (fits == 0) {
        errno = ENOMEM;
        return NULL;
    }

    unsigned smallest = (unsigned)__builtin_ctzll(fits);
    size_t node = 0;
    for (unsigned order = b->top; order-- > smallest;) {
        node *= 2;
        if (!(get(b, order, node) & own_bit(smallest)))
            node++;
    }
    node <<= smallest - wanted;
    put(b, wanted, node, used_bit(wanted));
    update_ancestors(b, wanted, node);
    return b->base + (node << wanted) * b->min_bytes;
}

int buddy_free(struct buddy *b, void *block)
{
    uintptr_t offset_bytes = (uintptr_t)block - (uintptr_t)b->base;
    size_t unit = offset_bytes / b->min_bytes;
    unsigned order = 0;

    if (block == NULL)
        return 0;
    if (offset_bytes % b->min_bytes != 0 || unit >= b->nunits)
        goto invalid;
    while (order <= b->top && get(b, order, unit >> order) != used_bit(order))
        order++;
    if (order > b->top || unit >> order << order != unit)
        goto invalid;
    put(b, order, unit >> order, own_bit(order));
    update_ancestors(b, order, unit >> order);
    return 0;

invalid:
    errno = EINVAL;
    return -1;
}

size_t buddy_blocks(const struct buddy *b, struct buddy_block *out, size_t max)
{
    size_t n = 0;

    for (size_t unit = 0; unit < b->nunits; n++) {
        unsigned order = b->top;

        while (get(b, order, unit >> order) != own_bit(order) &&
               get(b, order, unit >> order) != used_bit(order))
            order--;
        if (n < max) {
            out[n].offset_bytes = unit * b->min_bytes;
            out[n].size_bytes = b->min_bytes << order;
            out[n].used = get(b, order, unit >> order) == used_bit(order);
        }
        unit += (size_t)1 << order;
    }
    return n;
}
