/* Design: bitmaps only; nothing is stored in the free blocks.  There is one bitmap
 * of free blocks for each order, and one bitmap "a block starts here", which
 * gives the size of a block as the distance to the next start.  Each bitmap has
 * summary levels: bit i of a level is set when word i of the level below is not
 * zero, so finding the first or the next bit takes a few words.
 * Takes the lowest block of an order, which reduces external fragmentation.
 * Metadata: 3 bits per unit, plus 1/63 for the summaries.
 */
#include "buddy.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { MAX_ORDERS = 60 };

struct buddy {
    unsigned char *base;
    size_t nunits;
    unsigned unit_shift;
    uint64_t nonempty;          /* bit k: order k has free blocks */
    size_t free_at[MAX_ORDERS]; /* index in words of an order's bitmap */
    size_t starts_at;
    uint64_t words[];
};

/* ---- a bitmap with summaries ---- */

static size_t words_for(size_t nbits)
{
    return (nbits + 63) / 64;
}

static size_t bitmap_words(size_t nbits)
{
    size_t total = 0;

    do {
        nbits = words_for(nbits);
        total += nbits;
    } while (nbits > 1);
    return total;
}

static bool bit_test(const uint64_t *map, size_t bit)
{
    return map[bit / 64] >> bit % 64 & 1;
}

static void bit_set(uint64_t *map, size_t nbits, size_t bit)
{
    for (;;) {
        uint64_t before = map[bit / 64];

        map[bit / 64] = before | (uint64_t)1 << bit % 64;
        nbits = words_for(nbits);
        if (before != 0 || nbits == 1)
            return;
        map += nbits;
        bit /= 64;
    }
}

static void bit_clear(uint64_t *map, size_t nbits, size_t bit)
{
    for (;;) {
        map[bit / 64] &= ~((uint64_t)1 << bit % 64);
        nbits = words_for(nbits);
        if (map[bit / 64] != 0 || nbits == 1)
            return;
        map += nbits;
        bit /= 64;
    }
}

/* The first bit set at or after `from`; nbits if there is none. */
static size_t bit_next(const uint64_t *map, size_t nbits, size_t from)
{
    const uint64_t *levels[11];
    size_t bits[11];
    unsigned level = 0;

    levels[0] = map;
    bits[0] = nbits;
    while (from < bits[level]) {
        uint64_t word = levels[level][from / 64] >> from % 64;

        if (word != 0) {
            from += (size_t)__builtin_ctzll(word);
            while (level-- > 0)
                from = from * 64 + (size_t)__builtin_ctzll(levels[level][from]);
            return from;
        }
        bits[level + 1] = words_for(bits[level]);
        levels[level + 1] = levels[level] + bits[level + 1];
        if (bits[level + 1] == 1)
            return nbits;
        from = from / 64 + 1;
        level++;
    }
    return nbits;
}

/* ---- blocks ---- */

static unsigned log2_floor(size_t n)
{
    return 63 - (unsigned)__builtin_clzll(n);
}

static bool valid(size_t len_bytes, size_t min_bytes)
{
    return min_bytes >= 16 && (min_bytes & (min_bytes - 1)) == 0 && len_bytes >= min_bytes;
}

static size_t blocks_of(const struct buddy *b, unsigned order)
{
    return b->nunits >> order;
}

static uint64_t *free_map(struct buddy *b, unsigned order)
{
    return b->words + b->free_at[order];
}

static bool is_free(const struct buddy *b, size_t unit, unsigned order)
{
    size_t block = unit >> order;

    return block < blocks_of(b, order) && bit_test(b->words + b->free_at[order], block);
}

static unsigned order_at(const struct buddy *b, size_t unit)
{
    return log2_floor(bit_next(b->words + b->starts_at, b->nunits, unit + 1) - unit);
}

static void add_free(struct buddy *b, size_t unit, unsigned order)
{
    bit_set(free_map(b, order), blocks_of(b, order), unit >> order);
    b->nonempty |= (uint64_t)1 << order;
}

static void remove_free(struct buddy *b, size_t unit, unsigned order)
{
    size_t nblocks = blocks_of(b, order);

    bit_clear(free_map(b, order), nblocks, unit >> order);
    if (bit_next(free_map(b, order), nblocks, 0) == nblocks)
        b->nonempty &= ~((uint64_t)1 << order);
}

static void set_start(struct buddy *b, size_t unit)
{
    bit_set(b->words + b->starts_at, b->nunits, unit);
}

static void clear_start(struct buddy *b, size_t unit)
{
    bit_clear(b->words + b->starts_at, b->nunits, unit);
}

/* ---- the contract ---- */

size_t buddy_sizeof(size_t len_bytes, size_t min_block_bytes)
{
    if (!valid(len_bytes, min_block_bytes)) {
        errno = EINVAL;
        return 0;
    }

    size_t nunits = len_bytes / min_block_bytes;
    size_t nwords = bitmap_words(nunits);
    for (unsigned order = 0; order <= log2_floor(nunits); order++)
        nwords += bitmap_words(nunits >> order);
    return sizeof(struct buddy) + nwords * sizeof(uint64_t);
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
    b->unit_shift = log2_floor(min_block_bytes);
    b->nunits = len_bytes >> b->unit_shift;
    for (unsigned order = 0; order <= log2_floor(b->nunits); order++) {
        b->free_at[order] = at;
        at += bitmap_words(blocks_of(b, order));
    }
    b->starts_at = at;
    for (size_t unit = 0; unit < b->nunits;) {
        unsigned order = log2_floor(b->nunits - unit);

        set_start(b, unit);
        add_free(b, unit, order);
        unit += (size_t)1 << order;
    }
    return b;
}

void *buddy_alloc(struct buddy *b, size_t size_bytes)
{
    if (size_bytes == 0) {
        errno = EINVAL;
        return NULL;
    }

    size_t last_unit = (size_bytes - 1) >> b->unit_shift;
    unsigned wanted = last_unit == 0 ? 0 : log2_floor(last_unit) + 1;
    uint64_t fits = b->nonempty >> wanted << wanted;
    if (fits == 0) {
        errno = ENOMEM;
        return NULL;
    }

    unsigned order = (unsigned)__builtin_ctzll(fits);
    size_t unit = bit_next(free_map(b, order), blocks_of(b, order), 0) << order;

    remove_free(b, unit, order);
    while (order-- > wanted) {
        size_t upper = unit + ((size_t)1 << order);

        set_start(b, upper);
        add_free(b, upper, order);
    }
    return b->base + (unit << b->unit_shift);
}

int buddy_free(struct buddy *b, void *block)
{
    uintptr_t offset_bytes = (uintptr_t)block - (uintptr_t)b->base;
    size_t unit = offset_bytes >> b->unit_shift;

    if (block == NULL)
        return 0;
    if (unit >= b->nunits || unit << b->unit_shift != offset_bytes ||
        !bit_test(b->words + b->starts_at, unit))
        goto invalid;

    unsigned order = order_at(b, unit);
    if (is_free(b, unit, order))
        goto invalid;

    for (; is_free(b, unit ^ (size_t)1 << order, order); order++) {
        size_t buddy = unit ^ (size_t)1 << order;

        remove_free(b, buddy, order);
        clear_start(b, unit | buddy);
        unit &= buddy;
    }
    add_free(b, unit, order);
    return 0;

invalid:
    errno = EINVAL;
    return -1;
}

size_t buddy_blocks(const struct buddy *b, struct buddy_block *out, size_t max)
{
    size_t n = 0;

    for (size_t unit = 0; unit < b->nunits; n++) {
        unsigned order = order_at(b, unit);

        if (n < max)
            out[n] =
                (struct buddy_block){unit << b->unit_shift, (size_t)1 << order << b->unit_shift,
                                     !is_free(b, unit, order)};
        unit += (size_t)1 << order;
    }
    return n;
}
