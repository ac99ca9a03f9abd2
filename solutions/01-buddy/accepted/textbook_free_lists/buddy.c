/* Design: the free lists of the textbooks.  One circular list per order runs
 * through the free blocks; each node of the tree of all possible blocks has two
 * bits, "is split" and "is used".  buddy_free() gets no order, so it walks from
 * the smallest possible block at that address up to the one in use.
 *
 * Nodes are numbered as in a binary heap: 1 is the root, 2n and 2n + 1 are the
 * halves of n.  The tree spans the length rounded up to a power of two; nodes
 * past the end are never free.
 */
#include "buddy.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct link {
    struct link *next, *prev;
};

struct buddy {
    unsigned char *base;
    size_t min_bytes;
    size_t nunits;
    unsigned norders;    /* the root has order norders - 1 */
    struct link lists[]; /* norders, then the bits */
};

/* ---- sizes ---- */

static unsigned orders_for(size_t nunits)
{
    unsigned norders = 1;

    while (norders < 60 && ((size_t)1 << (norders - 1)) < nunits)
        norders++;
    return norders;
}

static bool valid(size_t len_bytes, size_t min_bytes)
{
    return min_bytes >= 16 && (min_bytes & (min_bytes - 1)) == 0 && len_bytes >= min_bytes;
}

/* Two bits per node, four nodes in a byte; nodes past the end, which are the last
 * ones of the lowest level, have none. */
static size_t bits_bytes(size_t nunits)
{
    size_t leaves_from = (size_t)1 << (orders_for(nunits) - 1);

    return (leaves_from + nunits) / 4 + 1;
}

size_t buddy_sizeof(size_t len_bytes, size_t min_block_bytes)
{
    if (!valid(len_bytes, min_block_bytes)) {
        errno = EINVAL;
        return 0;
    }

    size_t nunits = len_bytes / min_block_bytes;
    return sizeof(struct buddy) + orders_for(nunits) * sizeof(struct link) + bits_bytes(nunits);
}

/* ---- nodes ---- */

enum { WHOLE = 0, SPLIT = 1, USED = 2 };

static uint8_t *bits_of(const struct buddy *b)
{
    return (uint8_t *)&b->lists[b->norders];
}

static unsigned get(const struct buddy *b, size_t node)
{
    return bits_of(b)[node / 4] >> (node % 4 * 2) & 3;
}

static void set(struct buddy *b, size_t node, unsigned value)
{
    uint8_t *byte = &bits_of(b)[node / 4];
    unsigned shift = (unsigned)(node % 4 * 2);

    *byte = (uint8_t)((*byte & ~(3u << shift)) | value << shift);
}

static size_t node_at(const struct buddy *b, size_t unit, unsigned order)
{
    return (((size_t)1 << (b->norders - 1)) + unit) >> order;
}

static size_t unit_of(const struct buddy *b, size_t node, unsigned order)
{
    return (node << order) - ((size_t)1 << (b->norders - 1));
}

static void *address(const struct buddy *b, size_t unit)
{
    return b->base + unit * b->min_bytes;
}

/* ---- lists ---- */

static void push(struct buddy *b, unsigned order, size_t unit)
{
    struct link *list = &b->lists[order], *block = address(b, unit);

    block->next = list->next;
    block->prev = list;
    block->next->prev = block;
    list->next = block;
}

static void unlink_block(struct link *block)
{
    block->prev->next = block->next;
    block->next->prev = block->prev;
}

/* ---- the contract ---- */

/* Adds only blocks inside the region: a node that extends past the end is split. */
static void add_region(struct buddy *b, size_t node, unsigned order)
{
    size_t unit = unit_of(b, node, order);

    if (unit >= b->nunits)
        return;
    if (unit + ((size_t)1 << order) <= b->nunits) {
        push(b, order, unit);
        return;
    }
    set(b, node, SPLIT);
    add_region(b, 2 * node, order - 1);
    add_region(b, 2 * node + 1, order - 1);
}

struct buddy *buddy_init(void *meta, void *base, size_t len_bytes, size_t min_block_bytes)
{
    struct buddy *b = meta;

    if (!valid(len_bytes, min_block_bytes) || meta == NULL || base == NULL ||
        (uintptr_t)base % min_block_bytes != 0) {
        errno = EINVAL;
        return NULL;
    }
    memset(meta, 0, buddy_sizeof(len_bytes, min_block_bytes));
    b->base = base;
    b->min_bytes = min_block_bytes;
    b->nunits = len_bytes / min_block_bytes;
    b->norders = orders_for(b->nunits);
    for (unsigned order = 0; order < b->norders; order++)
        b->lists[order].next = b->lists[order].prev = &b->lists[order];
    add_region(b, 1, b->norders - 1);
    return b;
}

void *buddy_alloc(struct buddy *b, size_t size_bytes)
{
    unsigned wanted = 0, order;

    if (size_bytes == 0) {
        errno = EINVAL;
        return NULL;
    }
    while (wanted < b->norders && b->min_bytes << wanted < size_bytes)
        wanted++;
    for (order = wanted; order < b->norders; order++)
        if (b->lists[order].next != &b->lists[order])
            break;
    if (order >= b->norders) {
        errno = ENOMEM;
        return NULL;
    }

    struct link *block = b->lists[order].next;
    size_t unit = ((size_t)((unsigned char *)block - b->base)) / b->min_bytes;

    unlink_block(block);
    while (order > wanted) {
        set(b, node_at(b, unit, order), SPLIT);
        order--;
        push(b, order, unit + ((size_t)1 << order));
    }
    set(b, node_at(b, unit, order), USED);
    return block;
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

    size_t node = node_at(b, unit, 0);
    for (; node > 1 && get(b, node) == WHOLE; node /= 2)
        order++;
    if (get(b, node) != USED || unit_of(b, node, order) != unit)
        goto invalid;

    set(b, node, WHOLE);
    for (; node > 1; node /= 2, order++) {
        size_t other = node ^ 1;
        size_t other_unit = unit_of(b, other, order);

        if (other_unit + ((size_t)1 << order) > b->nunits || get(b, other) != WHOLE)
            break;
        unlink_block(address(b, other_unit));
        set(b, node / 2, WHOLE);
    }
    push(b, order, unit_of(b, node, order));
    return 0;

invalid:
    errno = EINVAL;
    return -1;
}

size_t buddy_blocks(const struct buddy *b, struct buddy_block *out, size_t max)
{
    size_t n = 0;

    for (size_t unit = 0; unit < b->nunits; n++) {
        unsigned order = b->norders - 1;

        while (get(b, node_at(b, unit, order)) == SPLIT)
            order--;
        if (n < max) {
            out[n].offset_bytes = unit * b->min_bytes;
            out[n].size_bytes = b->min_bytes << order;
            out[n].used = get(b, node_at(b, unit, order)) == USED;
        }
        unit += (size_t)1 << order;
    }
    return n;
}
