/* buddy.c - power-of-two allocation; the contract is in buddy.h.
 *
 * Sizes and offsets are counted in units: one unit is min_block_bytes.  A block
 * of order k has 2^k units; unit u starts at base + u * min_block_bytes.
 */
#include "buddy.h"

#ifdef SOLUTION
#include <assert.h>
#endif
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#ifdef SOLUTION
/* Theory of operation
 *
 * The free blocks of order k form a doubly linked free list, free[k].  The
 * links lie in the free blocks themselves, which nobody else uses (this is why
 * min_block_bytes is at least 16), so they take no extra memory.  The links at
 * both ends of a list are never written or read, so a block that is alone in
 * its list is not touched at all.  Bit k of nonempty is set when free[k] is not
 * empty: one instruction finds the smallest order that fits (best fit).
 *
 * state[u] describes what starts at unit u: a free block, a block in use, or
 * nothing, when u lies inside a block.  One lookup tells whether a pointer may
 * be freed, how large its block is, and whether its buddy is free and of the
 * same size.  At one byte per unit it is the only metadata that grows with the
 * region.
 *
 * The buddy of the block of order k at unit u is at u ^ 2^k: the two offsets
 * differ in one bit.  Their addresses need not, as base is aligned to one unit
 * only.  The initial blocks (7 units: 4, 2, 1) have no buddy, but that needs
 * no test: u ^ 2^k is where the next of them starts, which is smaller and never
 * grows, or for the last one the end of the region, where state has a sentinel
 * that is never FREE.
 */
enum { MAX_ORDERS = 60 }; /* 2^64 bytes in units of 16 */

enum { INSIDE = 0, FREE = 0x40, USED = 0x80, ORDER_MASK = 0x3f };

struct free_block {
    struct free_block *next; /* undefined in the last block */
    struct free_block *prev; /* undefined in the first block */
};

struct list {
    struct free_block *first, *last; /* NULL if empty */
};

struct buddy {
    char *base;
    size_t nunits;
    unsigned unit_shift; /* log2 of min_block_bytes */
    uint64_t nonempty;
    struct list free[MAX_ORDERS];
    uint8_t state[]; /* nunits + 1 */
};
#else
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
#endif

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
#ifdef SOLUTION

/* ---- units and orders ---- */

static struct free_block *block_at(const struct buddy *b, size_t unit)
{
    return (struct free_block *)(b->base + (unit << b->unit_shift));
}

/* The unit that starts at an address; nunits, where no block ever starts, when
 * none does. */
static size_t unit_at(const struct buddy *b, const void *address)
{
    size_t offset_bytes = (uintptr_t)address - (uintptr_t)b->base; /* huge if below base */
    size_t unit = offset_bytes >> b->unit_shift;

    return unit < b->nunits && unit << b->unit_shift == offset_bytes ? unit : b->nunits;
}

static unsigned log2_floor(size_t n)
{
    return 63 - (unsigned)__builtin_clzll(n);
}

/* The order of the smallest block that holds size_bytes > 0.  Shifting down
 * before rounding up avoids overflow. */
static unsigned order_for(const struct buddy *b, size_t size_bytes)
{
    size_t last_unit = (size_bytes - 1) >> b->unit_shift;

    return last_unit == 0 ? 0 : log2_floor(last_unit) + 1;
}

/* ---- free lists ---- */

static uint64_t bit(unsigned order)
{
    return (uint64_t)1 << order;
}

static void list_push(struct list *list, struct free_block *block)
{
    if (list->first == NULL) {
        list->last = block;
    } else {
        block->next = list->first;
        list->first->prev = block;
    }
    list->first = block;
}

static void list_remove(struct list *list, struct free_block *block)
{
    if (list->first == list->last) {
        *list = (struct list){NULL, NULL};
    } else if (block == list->first) {
        list->first = block->next;
    } else if (block == list->last) {
        list->last = block->prev;
    } else {
        block->prev->next = block->next;
        block->next->prev = block->prev;
    }
}

/* ---- blocks ---- */

static void add_free(struct buddy *b, size_t unit, unsigned order)
{
    b->state[unit] = (uint8_t)(FREE | order);
    list_push(&b->free[order], block_at(b, unit));
    b->nonempty |= bit(order);
}

/* Removes a free block of this order, of which there must be one, from its
 * list; returns its unit.  The caller sets its state. */
static size_t take_free(struct buddy *b, unsigned order)
{
    struct list *list = &b->free[order];
    struct free_block *block = list->first;

    list_remove(list, block);
    if (list->first == NULL)
        b->nonempty &= ~bit(order);
    return unit_at(b, block);
}

/* Splits a block from one order down to another and keeps the lowest part.
 * The lists in between are empty, or a smaller block would have been taken. */
static void split(struct buddy *b, size_t unit, unsigned from, unsigned to)
{
    for (unsigned order = to; order < from; order++) {
        size_t upper = unit + ((size_t)1 << order);
        struct free_block *block = block_at(b, upper);

        b->state[upper] = (uint8_t)(FREE | order);
        b->free[order] = (struct list){block, block};
    }
    b->nonempty |= bit(from) - bit(to);
}

/* Coalesces (merges) a block with its buddy as long as the buddy is free and of
 * the same order; returns the unit of the result, and its order in *order. */
static size_t coalesce(struct buddy *b, size_t unit, unsigned *order)
{
    uint64_t emptied = 0;
    unsigned k = *order;

    for (;; k++) {
        size_t buddy = unit ^ (size_t)1 << k;

        if (b->state[buddy] != (FREE | k))
            break;
        list_remove(&b->free[k], block_at(b, buddy));
        if (b->free[k].first == NULL)
            emptied |= bit(k);
        b->state[unit | buddy] = INSIDE; /* the upper of the two */
        unit &= buddy;
    }
    b->nonempty &= ~emptied;
    *order = k;
    return unit;
}

/* ---- invariants between calls ---- */

#ifdef BUDDY_DEBUG
static bool list_is_sound(const struct buddy *b, unsigned order, size_t nblocks)
{
    const struct free_block *prev = NULL, *block = b->free[order].first;

    if ((b->nonempty & bit(order)) != (nblocks > 0 ? bit(order) : 0))
        return false;
    for (; nblocks > 0; nblocks--) {
        if (b->state[unit_at(b, block)] != (FREE | order))
            return false;
        if (prev != NULL && (prev->next != block || block->prev != prev))
            return false;
        prev = block;
        block = block == b->free[order].last ? NULL : block->next;
    }
    return block == NULL && prev == b->free[order].last;
}

/* The blocks fill the region, each at a multiple of its size; no two buddies
 * are both free; the free lists hold the free blocks and nothing else. */
static bool buddy_check(const struct buddy *b)
{
    size_t nfree[MAX_ORDERS] = {0};
    size_t unit = 0;

    while (unit < b->nunits) {
        unsigned order = b->state[unit] & ORDER_MASK;
        size_t nunits = (size_t)1 << order;
        bool is_free = b->state[unit] == (FREE | order);

        if (!is_free && b->state[unit] != (USED | order))
            return false;
        if (unit % nunits != 0 || nunits > b->nunits - unit)
            return false;
        for (size_t i = 1; i < nunits; i++)
            if (b->state[unit + i] != INSIDE)
                return false;
        if (is_free && b->state[unit ^ nunits] == (FREE | order))
            return false;
        nfree[order] += is_free;
        unit += nunits;
    }
    for (unsigned order = 0; order < MAX_ORDERS; order++)
        if (!list_is_sound(b, order, nfree[order]))
            return false;
    return b->state[b->nunits] == INSIDE;
}
#define CHECK(b) assert(buddy_check(b))
#else
#define CHECK(b) ((void)0)
#endif
#endif

/* ---- the contract ---- */

size_t buddy_sizeof(size_t len_bytes, size_t min_block_bytes)
{
    if (!sizes_are_valid(len_bytes, min_block_bytes)) {
        errno = EINVAL;
        return 0;
    }
#ifdef SOLUTION
    return sizeof(struct buddy) + len_bytes / min_block_bytes + 1;
#else
    /* TODO(01-buddy): add what your bookkeeping needs */
    return sizeof(struct buddy);
#endif
}

struct buddy *buddy_init(void *meta, void *base, size_t len_bytes, size_t min_block_bytes)
{
    struct buddy *b = meta;

    if (!sizes_are_valid(len_bytes, min_block_bytes))
        return null_with(EINVAL);
#ifdef SOLUTION
    if (meta == NULL || base == NULL || (uintptr_t)base % min_block_bytes != 0)
        return null_with(EINVAL);

    memset(b, 0, buddy_sizeof(len_bytes, min_block_bytes));
    b->base = base;
    b->unit_shift = log2_floor(min_block_bytes);
    b->nunits = len_bytes >> b->unit_shift;

    size_t unit = 0;
    while (unit < b->nunits) {
        unsigned order = log2_floor(b->nunits - unit);
        add_free(b, unit, order);
        unit += (size_t)1 << order;
    }
    CHECK(b);
#else
    /* TODO(01-buddy): reject the other invalid arguments; a region whose length
     * is not a power of two starts as several blocks */
    b->base = base;
    b->len_bytes = len_bytes;
    b->used = false;
#endif
    return b;
}

void *buddy_alloc(struct buddy *b, size_t size_bytes)
{
    if (size_bytes == 0)
        return null_with(EINVAL);
#ifdef SOLUTION

    unsigned wanted = order_for(b, size_bytes);
    uint64_t fits = b->nonempty >> wanted << wanted;
    if (fits == 0)
        return null_with(ENOMEM);

    unsigned order = (unsigned)__builtin_ctzll(fits);
    size_t unit = take_free(b, order);

    split(b, unit, order, wanted);
    b->state[unit] = (uint8_t)(USED | wanted);
    CHECK(b);
    return block_at(b, unit);
#else
    /* TODO(01-buddy): find the smallest free block that fits, and split it
     * until it has the right size */
    if (b->used || size_bytes > b->len_bytes)
        return null_with(ENOMEM);
    b->used = true;
    return b->base;
#endif
}

int buddy_free(struct buddy *b, void *block)
{
    if (block == NULL)
        return 0;
#ifdef SOLUTION

    size_t unit = unit_at(b, block);
    if (!(b->state[unit] & USED)) {
        errno = EINVAL;
        return -1;
    }

    unsigned order = b->state[unit] & ORDER_MASK;

    unit = coalesce(b, unit, &order);
    add_free(b, unit, order);
    CHECK(b);
    return 0;
#else
    /* TODO(01-buddy): reject what is not a block in use; coalesce the block
     * with its buddy, again and again while that is possible */
    b->used = false;
    return 0;
#endif
}

size_t buddy_blocks(const struct buddy *b, struct buddy_block *out, size_t max)
{
    size_t n = 0;
#ifdef SOLUTION

    for (size_t unit = 0; unit < b->nunits; n++) {
        size_t nunits = (size_t)1 << (b->state[unit] & ORDER_MASK);

        if (n < max)
            out[n] = (struct buddy_block){
                .offset_bytes = unit << b->unit_shift,
                .size_bytes = nunits << b->unit_shift,
                .used = (b->state[unit] & USED) != 0,
            };
        unit += nunits;
    }
#else
    /* TODO(01-buddy): report all blocks; do this early, as it shows what your
     * allocator does */
    if (max > 0)
        out[0] = (struct buddy_block){.size_bytes = b->len_bytes, .used = b->used};
    n = 1;
#endif
    return n;
}
