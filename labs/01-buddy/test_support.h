/* test_support.h - shared by the public and the hidden tests of 01-buddy: a
 * region with its allocator, and the block map as a line of text.
 *
 * Sizes in such a line are in units of min_block_bytes and sorted, so the line
 * does not depend on which half a solution keeps: "used 8 16; free 8 32 64".
 */
#ifndef TEST_SUPPORT_H
#define TEST_SUPPORT_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buddy.h"
#include "support.h"

enum { MAX_BLOCKS = 1024 }; /* in a block map that a test reads */

struct region {
    struct buddy *b;
    char *meta, *base; /* in the arena */
    size_t meta_bytes, len_bytes, unit_bytes, nunits;
    struct buddy_block *out; /* in the arena, for buddy_blocks(); map_capacity(nunits) entries */
};

struct block_map {
    size_t nblocks;
    struct buddy_block blocks[MAX_BLOCKS];
};

/* ---- a region and its allocator -------------------------------------------- */

/* Entries for every block that nunits can be divided into (MAX_BLOCKS at most),
 * and one more, by which a map that is too long is noticed. */
static inline size_t map_capacity(size_t nunits)
{
    return (nunits < MAX_BLOCKS ? nunits : MAX_BLOCKS) + 1;
}

/* base lies misalign_bytes past a multiple of 4096 and of len_bytes rounded up
 * to a power of two.  The metadata is zeroed, since only one test is about
 * uninitialised metadata; for Memcheck it is undefined, so that reading it
 * before writing it is an error there. */
static inline struct region region_at(size_t len_bytes, size_t min_block_bytes,
                                      size_t misalign_bytes)
{
    struct region r = {.len_bytes = len_bytes,
                       .unit_bytes = min_block_bytes,
                       .nunits = len_bytes / min_block_bytes};
    size_t align_bytes = 4096, max_meta_bytes = len_bytes + 65536;

    r.meta_bytes = buddy_sizeof(len_bytes, min_block_bytes);
    if (r.meta_bytes == 0 || r.meta_bytes > max_meta_bytes)
        fail_call("buddy_sizeof(%zu, %zu) returned %zu: expected 1 to %zu", len_bytes,
                  min_block_bytes, r.meta_bytes, max_meta_bytes);
    r.meta = memset(arena_undefined("meta", r.meta_bytes), 0, r.meta_bytes);
    while (align_bytes < len_bytes)
        align_bytes *= 2;
    r.base = arena_alloc_at("base", len_bytes, align_bytes, misalign_bytes);
    r.out = arena_out("out", map_capacity(r.nunits) * sizeof *r.out);
    r.b = buddy_init(r.meta, r.base, len_bytes, min_block_bytes);
    if (r.b == NULL)
        fail_call("buddy_init(meta, base, %zu, %zu) returned NULL: expected an allocator",
                  len_bytes, min_block_bytes);
    return r;
}

/* A region of nunits units of 16 bytes; base is well aligned. */
static inline struct region region_of_units(size_t nunits)
{
    return region_at(nunits * 16, 16, 0);
}

/* ---- calls that must succeed --------------------------------------------- */

/* Allocates a block; fails the test if there is none, or if it does not lie
 * completely inside the region. */
static inline char *alloc_block(const struct region *r, size_t size_bytes)
{
    char *block = buddy_alloc(r->b, size_bytes);
    size_t offset_bytes = (uintptr_t)block - (uintptr_t)r->base;

    if (block == NULL)
        fail_call("buddy_alloc(b, %zu) returned NULL (%s): expected a block", size_bytes,
                  error_name(errno));
    if (offset_bytes >= r->len_bytes || r->len_bytes - offset_bytes < size_bytes)
        fail_call("buddy_alloc(b, %zu) returned base%+td: expected a block inside the region of "
                  "%zu bytes",
                  size_bytes, (ptrdiff_t)offset_bytes, r->len_bytes);
    return block;
}

/* Requests one byte less than a block of nunits, so that a solution which rounds
 * a power of two up to the next one fails only where rounding is tested. */
static inline char *alloc_units(const struct region *r, size_t nunits)
{
    return alloc_block(r, nunits * r->unit_bytes - 1);
}

static inline void free_block(const struct region *r, void *block)
{
    if (buddy_free(r->b, block) != 0)
        fail_call("buddy_free(b, base+%zu) failed (%s): expected 0 for a block in use",
                  (size_t)((char *)block - r->base), error_name(errno));
}

/* ---- calls that must fail -------------------------------------------------- */

static inline void assert_alloc_fails(const struct region *r, size_t size_bytes)
{
    char *block = buddy_alloc(r->b, size_bytes);

    if (block != NULL)
        fail_call("buddy_alloc(b, %zu) returned base%+td: expected NULL", size_bytes,
                  block - r->base);
}

static inline void assert_alloc_fails_with(const struct region *r, size_t size_bytes, int error)
{
    assert_alloc_fails(r, size_bytes);
    if (errno != error)
        fail_call("buddy_alloc(b, %zu) returned NULL (%s): expected NULL (%s)", size_bytes,
                  error_name(errno), error_name(error));
}

static inline void assert_free_fails(const struct region *r, void *block, const char *what)
{
    ptrdiff_t offset_bytes = (ptrdiff_t)((uintptr_t)block - (uintptr_t)r->base);
    int result = buddy_free(r->b, block);

    if (result != -1)
        fail_call("buddy_free(b, base%+td), %s, returned %d: expected -1", offset_bytes, what,
                  result);
    if (errno != EINVAL)
        fail_call("buddy_free(b, base%+td), %s, returned -1 (%s): expected -1 (EINVAL)",
                  offset_bytes, what, error_name(errno));
}

/* ---- the block map ----------------------------------------------------------- */

static inline bool is_power_of_two(size_t n)
{
    return n != 0 && (n & (n - 1)) == 0;
}

/* Which invariant the sizes and offsets of a map violate; NULL if none. */
static inline const char *map_defect(const struct region *r, const struct block_map *map)
{
    size_t end_bytes = 0;

    for (size_t i = 0; i < map->nblocks; i++) {
        const struct buddy_block *block = &map->blocks[i];
        size_t nunits = block->size_bytes / r->unit_bytes;

        if (block->offset_bytes != end_bytes)
            return "a block does not start where the previous one ends";
        if (block->size_bytes % r->unit_bytes != 0 || !is_power_of_two(nunits))
            return "a size is not min_block_bytes times a power of two";
        if (block->size_bytes > r->nunits * r->unit_bytes)
            return "a block is larger than the region";
        if (block->offset_bytes % block->size_bytes != 0)
            return "an offset is not a multiple of the block's size";
        end_bytes += block->size_bytes;
    }
    return end_bytes == r->nunits * r->unit_bytes ? NULL : "the blocks do not fill the region";
}

/* "| 16 used | 16 | 32 |": the map in the order of addresses, at most 40 blocks;
 * valid until the next call. */
static inline const char *map_picture(const struct region *r, const struct block_map *map)
{
    static char text[2048];

    text[0] = '\0';
    text_add(text, sizeof text, "|");
    for (size_t i = 0; i < map->nblocks && i < 40; i++)
        text_add(text, sizeof text, " %zu%s |", map->blocks[i].size_bytes / r->unit_bytes,
                 map->blocks[i].used ? " used" : "");
    if (map->nblocks > 40)
        text_add(text, sizeof text, " ... (%zu blocks)", map->nblocks);
    return text;
}

/* Every value but 0 counts as used here: one test alone checks that it is 1. */
static inline struct block_map map_read(const struct region *r)
{
    size_t capacity = map_capacity(r->nunits);
    struct block_map map;

    memset(r->out, 0xa5, capacity * sizeof *r->out);
    map.nblocks = buddy_blocks(r->b, r->out, capacity);
    if (map.nblocks == 0 || map.nblocks > r->nunits)
        fail_call("buddy_blocks() returned %zu: expected 1 to %zu blocks in a region of %zu units",
                  map.nblocks, r->nunits, r->nunits);
    if (map.nblocks >= capacity)
        fail_call("buddy_blocks() returned %zu: expected fewer blocks after so few calls",
                  map.nblocks);
    memcpy(map.blocks, r->out, map.nblocks * sizeof *r->out);
    for (size_t i = 0; i < map.nblocks; i++)
        map.blocks[i].used = map.blocks[i].used != 0;
    if (map_defect(r, &map) != NULL)
        fail_call("the block map %s (in units of %zu bytes): %s", map_picture(r, &map),
                  r->unit_bytes, map_defect(r, &map));
    return map;
}

static inline int compare_sizes(const void *x, const void *y)
{
    size_t a = *(const size_t *)x, b = *(const size_t *)y;

    return (a > b) - (a < b);
}

/* Appends the sizes of the blocks in use, or of the free ones, sorted: " 8 16". */
static inline void add_sizes(const struct region *r, const struct block_map *map, int used,
                             char *text, size_t size)
{
    size_t sizes[MAX_BLOCKS] = {0}, n = 0;

    for (size_t i = 0; i < map->nblocks; i++)
        if (map->blocks[i].used == used)
            sizes[n++] = map->blocks[i].size_bytes / r->unit_bytes;
    qsort(sizes, n, sizeof *sizes, compare_sizes);
    for (size_t i = 0; i < n; i++)
        text_add(text, size, " %zu", sizes[i]);
}

/* assert_blocks(&r, "after A", "used 16; free 16 32") fails unless these are the blocks. */
static inline void assert_blocks(const struct region *r, const char *when, const char *expected)
{
    char text[8192] = "used";
    struct block_map map = map_read(r);

    add_sizes(r, &map, 1, text, sizeof text);
    text_add(text, sizeof text, "; free");
    add_sizes(r, &map, 0, text, sizeof text);
    if (strcmp(text, expected) != 0)
        fail_call(
            "%s: expected %s, but buddy_blocks() shows %s\n  in memory: %s (units of %zu bytes)",
            when, expected, text, map_picture(r, &map), r->unit_bytes);
}

/* Fails if the map of the region differs from an earlier one. */
static inline void assert_same_map(const struct region *r, const struct block_map *before,
                                   const char *what)
{
    struct block_map after = map_read(r);
    char old[2048];

    snprintf(old, sizeof old, "%s", map_picture(r, before));
    if (after.nblocks != before->nblocks)
        fail_call("%s changed the blocks from %s to %s", what, old, map_picture(r, &after));
    for (size_t i = 0; i < after.nblocks; i++)
        if (after.blocks[i].size_bytes != before->blocks[i].size_bytes ||
            after.blocks[i].used != before->blocks[i].used)
            fail_call("%s changed the blocks from %s to %s", what, old, map_picture(r, &after));
}

/* Fails unless the map shows this block in use with this size. */
static inline void assert_block_has(const struct region *r, const char *block,
                                    size_t requested_bytes, size_t size_bytes)
{
    struct block_map map = map_read(r);

    for (size_t i = 0; i < map.nblocks; i++)
        if (map.blocks[i].offset_bytes == (size_t)(block - r->base) && map.blocks[i].used) {
            if (map.blocks[i].size_bytes != size_bytes)
                fail_call("buddy_alloc(b, %zu) returned a block of %zu bytes: expected %zu",
                          requested_bytes, map.blocks[i].size_bytes, size_bytes);
            return;
        }
    fail_call(
        "buddy_alloc(b, %zu) returned base+%zu, but buddy_blocks() shows no block in use there: %s",
        requested_bytes, (size_t)(block - r->base), map_picture(r, &map));
}

/* ---- blocks in the order of their addresses ----------------------------------- */

static inline int compare_addresses(const void *x, const void *y)
{
    uintptr_t a = (uintptr_t)*(char *const *)x, b = (uintptr_t)*(char *const *)y;

    return (a > b) - (a < b);
}

static inline void sort_addresses(char **blocks, size_t n)
{
    qsort(blocks, n, sizeof *blocks, compare_addresses);
}

/* Allocates n blocks of nunits each and sorts them by address. */
static inline void alloc_sorted(const struct region *r, char **blocks, size_t n, size_t nunits)
{
    for (size_t i = 0; i < n; i++)
        blocks[i] = alloc_units(r, nunits);
    sort_addresses(blocks, n);
}

/* ---- helpers that report a failure at the line of their caller ------------------ */

#define region_at(...) FROM_HERE(region_at(__VA_ARGS__))
#define region_of_units(...) FROM_HERE(region_of_units(__VA_ARGS__))
#define alloc_block(...) FROM_HERE(alloc_block(__VA_ARGS__))
#define alloc_units(...) FROM_HERE(alloc_units(__VA_ARGS__))
#define free_block(...) FROM_HERE(free_block(__VA_ARGS__))
#define assert_alloc_fails(...) FROM_HERE(assert_alloc_fails(__VA_ARGS__))
#define assert_alloc_fails_with(...) FROM_HERE(assert_alloc_fails_with(__VA_ARGS__))
#define assert_free_fails(...) FROM_HERE(assert_free_fails(__VA_ARGS__))
#define map_read(...) FROM_HERE(map_read(__VA_ARGS__))
#define assert_blocks(...) FROM_HERE(assert_blocks(__VA_ARGS__))
#define assert_same_map(...) FROM_HERE(assert_same_map(__VA_ARGS__))
#define assert_block_has(...) FROM_HERE(assert_block_has(__VA_ARGS__))
#define alloc_sorted(...) FROM_HERE(alloc_sorted(__VA_ARGS__))

#endif
