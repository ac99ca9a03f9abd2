/* test_hidden_region.c - regions of any alignment, length and size. */
#include "test_hidden.h"

TEST(buddies_are_found_by_offset_from_base,
     "With base aligned to min_block_bytes only, buddies and alignment are determined by offsets "
     "from base, not by addresses.")
{
    static const size_t misaligned_units[] = {1, 2, 3, 8, 37};

    for (size_t k = 0; k < sizeof misaligned_units / sizeof *misaligned_units; k++) {
        struct region r = region_at(16 * 16, 16, misaligned_units[k] * 16);
        char *blocks[16];

        alloc_sorted(&r, blocks, 16, 1);
        for (size_t i = 0; i < 16; i += 2) {
            free_block(&r, blocks[i]);
            free_block(&r, blocks[i + 1]);
        }
        assert_blocks(&r, "base is aligned to one unit only and all blocks are freed",
                      "used; free 16");
        if ((alloc_units(&r, 4) - r.base) % 64 != 0)
            fail_msg(
                "a block of 64 bytes starts at an offset from base that is not a multiple of 64");
    }
}

static void assert_initial_blocks_in_descending_order(void)
{
    static const struct {
        size_t len_bytes;
        const char *picture;
    } cases[] = {{7 * 16, "| 4 | 2 | 1 |"},
                 {7 * 16 + 15, "| 4 | 2 | 1 |"},
                 {16, "| 1 |"},
                 {100 * 16, "| 64 | 32 | 4 |"},
                 {63 * 16, "| 32 | 16 | 8 | 4 | 2 | 1 |"},
                 {65 * 16, "| 64 | 1 |"}};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct region r = region_at(cases[i].len_bytes, 16, 0);
        struct block_map map = map_read(&r);

        if (strcmp(map_picture(&r, &map), cases[i].picture) != 0)
            fail_msg("%zu bytes in units of 16: expected %s, but buddy_blocks() shows %s",
                     cases[i].len_bytes, cases[i].picture, map_picture(&r, &map));
    }
}

TEST(any_length_is_usable_to_the_last_unit,
     "A region whose length is not a power of two starts as the largest blocks that fit, and every "
     "unit can be allocated.")
{
    assert_initial_blocks_in_descending_order();
    for (size_t nunits = 1; nunits <= 23; nunits++) {
        struct region r = region_of_units(nunits);
        struct block_map before = map_read(&r);
        char *blocks[23];

        alloc_sorted(&r, blocks, nunits, 1);
        for (size_t i = 0; i < nunits; i++)
            if (blocks[i] != r.base + 16 * i)
                fail_msg("%zu units were allocated one by one: expected one of them at unit %zu",
                         nunits, i);
        assert_alloc_fails(&r, 16);
        for (size_t i = 0; i < nunits; i++)
            free_block(&r, blocks[i]);
        assert_same_map(&r, &before, "allocating and freeing every unit");
    }
}

/* Steps that every region allows, whatever its length.  They run on a small
 * region first: a step that fails there is the subject of other tests. */
enum step { ONE_BLOCK, SPLIT, TWO_IN_USE, EXHAUSTED, COALESCED, BOTH_HALVES, ALL_IN_USE, STEPS };

static const char *const steps[STEPS] = {
    [ONE_BLOCK] = "buddy_init() creates one free block",
    [SPLIT] = "allocating one unit leaves one free block of each smaller size",
    [TWO_IN_USE] = "one unit and half of the region are in use and do not overlap",
    [EXHAUSTED] = "another half cannot be allocated then",
    [COALESCED] = "freeing both leaves one free block",
    [BOTH_HALVES] = "with half of the region in use, one unit is allocated in the other half",
    [ALL_IN_USE] = "the whole region can be allocated as one block",
};

static bool lies_in(const char *block, size_t bytes, const char *area, size_t area_bytes)
{
    return block != NULL && block >= area && block + bytes <= area + area_bytes;
}

/* Whether the region consists of nblocks blocks. */
static bool has_blocks(const struct region *r, size_t nblocks)
{
    struct block_map map = {.nblocks = buddy_blocks(r->b, r->out, map_capacity(r->nunits))};

    if (map.nblocks != nblocks)
        return false;
    memcpy(map.blocks, r->out, nblocks * sizeof *r->out);
    return map_defect(r, &map) == NULL;
}

/* Whether one unit is allocated in a half of the region while the other half is in use. */
static bool one_unit_fits_into_half(const struct region *r, bool upper)
{
    size_t half_bytes = r->len_bytes / 2;
    char *halves[2] = {buddy_alloc(r->b, half_bytes - 1), buddy_alloc(r->b, half_bytes - 1)};
    char *one;
    bool right;

    sort_addresses(halves, 2);
    buddy_free(r->b, halves[upper]);
    one = buddy_alloc(r->b, r->unit_bytes - 1);
    right = lies_in(one, r->unit_bytes, r->base + upper * half_bytes, half_bytes);
    buddy_free(r->b, one);
    buddy_free(r->b, halves[!upper]);
    return right;
}

static void run_steps(size_t order, size_t unit_bytes, bool right[STEPS])
{
    struct region r = region_at(unit_bytes << order, unit_bytes, 0);
    size_t half_bytes = r.len_bytes / 2;
    char *one, *half;

    right[ONE_BLOCK] = has_blocks(&r, 1);
    one = buddy_alloc(r.b, unit_bytes - 1);
    right[SPLIT] = has_blocks(&r, order + 1);
    half = buddy_alloc(r.b, half_bytes - 1);
    right[TWO_IN_USE] = lies_in(one, unit_bytes, r.base, r.len_bytes) &&
                        lies_in(half, half_bytes, r.base, r.len_bytes) &&
                        !lies_in(one, unit_bytes, half, half_bytes);
    right[EXHAUSTED] = buddy_alloc(r.b, half_bytes - 1) == NULL;
    buddy_free(r.b, one);
    buddy_free(r.b, half);
    right[COALESCED] = has_blocks(&r, 1);
    right[BOTH_HALVES] = one_unit_fits_into_half(&r, false) && one_unit_fits_into_half(&r, true);
    right[ALL_IN_USE] = buddy_alloc(r.b, r.len_bytes - 1) == r.base;
}

/* 2^20 units: neither their number nor the size of a block in units fits into 16
 * bits, and there are more than 16 orders.  Units of 128 KiB: the unit size does
 * not fit into 16 bits, and is larger than a page. */
TEST(large_regions_work_like_small_ones,
     "Regions of 2^20 units, or with units of 128 KiB, are split, allocated and coalesced like "
     "small ones.")
{
    bool small[STEPS], large[STEPS], large_units[STEPS];

    run_steps(6, 16, small);
    if (!small[TWO_IN_USE])
        fail_msg("a region of 64 units (large regions are tested afterwards): expected that %s",
                 steps[TWO_IN_USE]);
    run_steps(20, 16, large);
    run_steps(6, 128 << 10, large_units);
    for (size_t i = 0; i < STEPS; i++) {
        if (small[i] && !large[i])
            fail_msg("a region of 2^20 units: expected that %s, as with 64 units", steps[i]);
        if (small[i] && !large_units[i])
            fail_msg("a region of 64 units of 128 KiB: expected that %s, as with units of 16 bytes",
                     steps[i]);
    }
}
