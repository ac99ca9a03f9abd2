/* test_hidden.c - the other graded tests of 01-buddy.  They rely on buddy.h
 * alone: which half of a block is kept, and which of several equal blocks is
 * taken, is the solution's choice.
 */
#include "test_support.h"

/* ---- initialisation ----------------------------------------------------------- */

static bool all_bytes_are(const char *memory, int filling, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if ((unsigned char)memory[i] != filling)
            return false;
    return true;
}

/* What init must refuse, and leave alone: memory full of FILLING. */
enum { META_BYTES = 65536, BASE_BYTES = 1024, FILLING = 0x5a };

static void assert_init_fails(char *meta, char *base, size_t len_bytes, size_t min_block_bytes,
                              const char *why)
{
    if (buddy_init(meta, base, len_bytes, min_block_bytes) != NULL || errno != EINVAL)
        fail_msg("buddy_init(meta, base, %zu, %zu), where %s: expected NULL and EINVAL", len_bytes,
                 min_block_bytes, why);
    if (meta != NULL && !all_bytes_are(meta, FILLING, META_BYTES))
        fail_msg("buddy_init(meta, base, %zu, %zu), where %s, failed and wrote into meta: expected "
                 "that nothing changes",
                 len_bytes, min_block_bytes, why);
}

TEST(init_refuses_bad_arguments,
     "buddy_sizeof() and buddy_init() refuse with EINVAL a min_block_bytes that is no power of "
     "two or under 16, a length under one block, NULL, and a base that is not a multiple of "
     "min_block_bytes, and change nothing then.")
{
    static const struct {
        size_t len_bytes, min_block_bytes;
    } bad[] = {{1024, 0},
               {1024, 8},
               {1024, 24},
               {1024, 48},
               {0, 16},
               {15, 16},
               {63, 64},
               {1024, ((size_t)1 << 32) + 16},
               {1024, (size_t)1 << 63}};
    char *meta = memset(arena_alloc("meta", META_BYTES), FILLING, META_BYTES);
    char *base = memset(arena_alloc_at("base", BASE_BYTES, 4096, 0), FILLING, BASE_BYTES);

    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        size_t len = bad[i].len_bytes, min = bad[i].min_block_bytes;
        size_t size = buddy_sizeof(len, min);

        if (size != 0 || errno != EINVAL)
            fail_msg("buddy_sizeof(%zu, %zu) gave %zu, errno %d: expected 0 and EINVAL", len, min,
                     size, errno);
        assert_init_fails(meta, base, len, min, "base and meta are good");
    }
    assert_init_fails(NULL, base, 1024, 16, "meta is NULL");
    assert_init_fails(meta, NULL, 1024, 16, "base is NULL");
    assert_init_fails(meta, base + 8, 1000, 16, "base is 8 past a multiple of 16");
    assert_init_fails(meta, base + 32, 512, 64, "base is 32 past a multiple of 64");
    if (!all_bytes_are(base, FILLING, BASE_BYTES))
        fail_msg("buddy_init() failed and wrote into the region: expected that nothing changes");
}

static void use_once(char *meta, size_t nunits)
{
    struct region r = {.meta = meta,
                       .base = arena_out("base", nunits * 16),
                       .out = arena_out("out", (nunits + 1) * sizeof *r.out),
                       .len_bytes = nunits * 16,
                       .unit_bytes = 16,
                       .nunits = nunits};
    char *block;

    r.b = buddy_init(meta, r.base, r.len_bytes, 16);
    if (r.b == NULL)
        fail_msg("buddy_init() with dirty metadata gave NULL: expected an allocator");
    assert_blocks(&r, "after buddy_init() with dirty metadata", "used; free 64");
    take_units(&r, 1);
    take_units(&r, 16);
    assert_blocks(&r, "after two blocks were taken", "used 1 16; free 1 2 4 8 32");
    for (int i = 0; i < 1 + 2 + 4 + 8 + 32; i++)
        take_units(&r, 1);

    r.b = buddy_init(meta, r.base, r.len_bytes, 16);
    if (r.b == NULL)
        fail_msg("buddy_init() where an allocator was before gave NULL: expected a new one");
    assert_blocks(&r, "after buddy_init() where an allocator was before", "used; free 64");
    take_units(&r, 32);
    block = take_units(&r, 32);
    for (int i = 1; i < 32; i++)
        assert_free_fails(&r, block + i * 16, "what was a block of an allocator before");
}

TEST(init_takes_metadata_that_arrives_dirty,
     "buddy_init() works whatever the metadata and the region held before, another allocator for "
     "example.")
{
    static const int fillings[] = {0xff, 0xa5, 0x01, 0x40, 0x80, 0x7f};
    size_t size = buddy_sizeof(64 * 16, 16);

    assert_in_range(size, 1, 65536);
    use_once(arena_out("meta", size), 64);
    for (size_t i = 0; i < sizeof fillings / sizeof *fillings; i++)
        use_once(memset(arena_alloc("meta", size), fillings[i], size), 64);
}

static void assert_blocks_counts(const struct region *r, struct buddy_block *out, size_t max)
{
    size_t n = buddy_blocks(r->b, out, max);

    if (n != 7)
        fail_msg("there are 7 blocks: buddy_blocks(b, %s, %zu) gave %zu", out ? "out" : "NULL", max,
                 n);
}

/* As many blocks as a region can have: map_read() fails unless they fill it. */
static void show_many_blocks(void)
{
    enum { NBLOCKS = 512 };
    struct region r = region_of_units(NBLOCKS);
    struct script *s = script_new(NBLOCKS);

    for (size_t i = 0; i < NBLOCKS; i++)
        RECORD(s, buddy_alloc(r.b, 15));
    script_run(s);
    map_read(&r);
}

TEST(block_map_stops_at_max,
     "buddy_blocks() writes all blocks, however many, but no more than max, used as 1 and free "
     "as 0, and returns how many there are.")
{
    struct region r = region_of_units(64);
    struct block_map all;

    take_units(&r, 1);
    all = map_read(&r);
    if (all.nblocks != 7)
        fail_msg("1 of 64 units taken: expected 7 blocks, 1 1 2 4 8 16 32, but there is %s",
                 map_picture(&r, &all));
    assert_blocks_counts(&r, NULL, 0);
    for (size_t max = 0; max <= 8; max++) {
        struct buddy_block *out = arena_out("out", max * sizeof *out);
        struct buddy_block copy[8];

        assert_blocks_counts(&r, out, max);
        memcpy(copy, out, max * sizeof *out);
        for (size_t i = 0; i < max && i < 7; i++)
            if (copy[i].offset_bytes != all.blocks[i].offset_bytes ||
                copy[i].size_bytes != all.blocks[i].size_bytes ||
                copy[i].used != all.blocks[i].used)
                fail_msg("buddy_blocks(b, out, %zu): out[%zu] is offset %zu, size %zu, used %d: "
                         "expected offset %zu, size %zu, used %d",
                         max, i, copy[i].offset_bytes, copy[i].size_bytes, copy[i].used,
                         all.blocks[i].offset_bytes, all.blocks[i].size_bytes, all.blocks[i].used);
    }
    show_many_blocks();
}

/* Takes and gives back every smallest block: all metadata is used. */
static void use_all_metadata(void)
{
    enum { LEN_BYTES = 1 << 18, NBLOCKS = LEN_BYTES / 64 };
    struct region r = region_at(LEN_BYTES, 64, 0);
    struct script *s = script_new(2 * NBLOCKS);

    for (size_t i = 0; i < NBLOCKS; i++)
        RECORD(s, buddy_alloc(r.b, 60));
    for (size_t i = 0; i < NBLOCKS; i++)
        RECORD(s, buddy_free(r.b, script_value(s, i)));
    script_run(s);
    for (size_t i = 0; i < NBLOCKS; i++) {
        if (script_result(s, i) == 0)
            fail_msg("buddy_alloc(b, 60) gave NULL for block %zu of %d", i, NBLOCKS);
        if ((int)script_result(s, NBLOCKS + i) != 0)
            fail_msg("buddy_free() of block %zu of %d failed", i, NBLOCKS);
    }
}

TEST(metadata_is_small,
     "With blocks of 64 bytes the metadata takes at most 1.6 % of the region plus 1 KiB, nothing "
     "is written beyond what buddy_sizeof() says, and that is right for regions of many GiB too.")
{
    static const size_t lengths_bytes[] = {64,
                                           1000,
                                           65536,
                                           65536 + 64,
                                           1 << 20,
                                           (1 << 20) + 64,
                                           5u << 20,
                                           64u << 20,
                                           (64u << 20) + 64,
                                           100u << 20,
                                           1u << 30,
                                           (size_t)48 << 30,
                                           (size_t)1 << 38};

    for (size_t i = 0; i < sizeof lengths_bytes / sizeof *lengths_bytes; i++) {
        size_t len = lengths_bytes[i], limit = len / 1000 * 16 + len % 1000 * 16 / 1000 + 1024;
        size_t size = buddy_sizeof(len, 64);

        if (size == 0 || size > limit)
            fail_msg("buddy_sizeof(%zu, 64) gave %zu: expected at most 1.6 %% and 1 KiB, %zu", len,
                     size, limit);
        /* So many blocks of one unit or more, all in use, can lie in more than
         * 2^(units / 2) ways, and nothing but the metadata tells which. */
        if (size < len / 64 / 16)
            fail_msg(
                "buddy_sizeof(%zu, 64) gave %zu: nobody can tell %zu units apart with so little",
                len, size, len / 64);
    }
    use_all_metadata();
}

/* ---- allocation ----------------------------------------------------------------- */

/* 16 units free at one end of the region, 8 at the other, all else in use:
 * the 8 must be taken, wherever one starts to look. */
static void leave_a_large_and_a_small(bool small_first)
{
    struct region r = region_of_units(64);
    char *quarters[4];

    take_sorted(&r, quarters, 4, 16);
    give(&r, quarters[small_first ? 0 : 3]);
    take_units(&r, 8);
    give(&r, quarters[small_first ? 3 : 0]);
    assert_blocks(&r, "one block of 8 and one of 16 are free", "used 8 16 16; free 8 16");
    take_units(&r, 8);
    assert_blocks(&r, "8 units are asked for", "used 8 8 16 16; free 16");
}

TEST(alloc_takes_the_smallest_block_that_fits,
     "A block comes out of the smallest free block that is large enough, wherever that lies.")
{
    leave_a_large_and_a_small(true);
    leave_a_large_and_a_small(false);
}

/* Half of all blocks leave, as many of one size as there can be, and as many
 * are taken again. */
static void take_again_what_was_given_back(void)
{
    enum { NBLOCKS = 2048, HALF = NBLOCKS / 2 };
    struct region r = region_of_units(NBLOCKS);
    struct script *s = script_new(NBLOCKS + 2 * HALF);

    for (size_t i = 0; i < NBLOCKS; i++)
        RECORD(s, buddy_alloc(r.b, 15));
    for (size_t i = 0; i < NBLOCKS; i += 2)
        RECORD(s, buddy_free(r.b, script_value(s, i)));
    for (size_t i = 0; i < HALF; i++)
        RECORD(s, buddy_alloc(r.b, 15));
    script_run(s);
    for (size_t i = 0; i < HALF; i++)
        if (script_result(s, NBLOCKS + HALF + i) == 0)
            fail_msg("of %d blocks of one unit, all in use, %d left: then buddy_alloc(b, 15) gave "
                     "a block %zu times and now NULL",
                     NBLOCKS, HALF, i);
}

TEST(alloc_fails_when_exhausted_and_recovers,
     "A full region gives ENOMEM, and works again when something was freed, be it thousands of "
     "blocks: what is free can be had.")
{
    struct region r = region_of_units(16);
    char *blocks[16], *again;

    take_sorted(&r, blocks, 16, 1);
    for (size_t i = 0; i < 16; i++)
        if (blocks[i] != r.base + 16 * i)
            fail_msg("16 blocks of one unit in a region of 16: there is none at unit %zu", i);
    assert_alloc_fails_with(&r, 1, ENOMEM);
    assert_alloc_fails_with(&r, 16, ENOMEM);

    give(&r, blocks[5]);
    again = take_units(&r, 1);
    if (again != blocks[5])
        fail_msg("buddy_alloc(b, 15) gave base+%td: only the block at base+80 is free",
                 again - r.base);
    assert_alloc_fails_with(&r, 16, ENOMEM);

    for (size_t i = 0; i < 16; i++)
        give(&r, blocks[i]);
    for (size_t i = 0; i < 16; i++)
        take_units(&r, 1);
    assert_alloc_fails_with(&r, 1, ENOMEM);
    take_again_what_was_given_back();
}

TEST(alloc_refuses_huge_sizes,
     "A size beyond the region gives ENOMEM, also when rounding it up overflows or it has more "
     "than 32 bits.")
{
    static const size_t sizes[] = {1025,
                                   2048,
                                   ((size_t)1 << 32) + 16, /* 16 in 32 bits */
                                   (size_t)1 << 32,
                                   (size_t)1 << 62,
                                   (size_t)1 << 63,
                                   ((size_t)1 << 63) + 1, /* 2^64 when rounded up: 0 */
                                   SIZE_MAX - 15,
                                   SIZE_MAX - 14,
                                   SIZE_MAX};
    struct region r = region_of_units(64);

    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        assert_alloc_fails_with(&r, sizes[i], ENOMEM);
}

TEST(failed_alloc_changes_nothing,
     "An allocation that fails leaves all blocks as they were: nothing is split for it.")
{
    struct region r = region_of_units(64);
    struct block_map before;

    take_units(&r, 16);
    before = map_read(&r);
    assert_alloc_fails(&r, 33 * 16);
    assert_alloc_fails(&r, 48 * 16); /* as much is free, not in one block */
    assert_alloc_fails(&r, 65 * 16);
    assert_same_map(&r, &before, "an allocation that failed");
    take_units(&r, 32);
    take_units(&r, 16);
}

/* ---- freeing -------------------------------------------------------------------- */

/* 64 blocks of one unit, freed in four orders: what stays until the end is one
 * unit in use, and free blocks of every size beside it. */
TEST(free_joins_buddies_up_to_the_whole_region,
     "Joining goes on from size to size as long as the buddy is free, in whatever order blocks "
     "are freed.")
{
    for (size_t step = 1; step <= 37; step += 12) { /* odd: each comes once */
        struct region r = region_of_units(64);
        char *blocks[64];

        take_sorted(&r, blocks, 64, 1);
        for (size_t i = 0; i < 63; i++)
            give(&r, blocks[i * step % 64]);
        assert_blocks(&r, "all but one of 64 blocks left", "used 1; free 1 2 4 8 16 32");
        give(&r, blocks[63 * step % 64]);
        assert_blocks(&r, "all of 64 blocks left", "used; free 64");
    }
}

/* The first of four quarters is halved and one half is free, while the second
 * quarter leaves: its buddy is not free as a whole. */
static void leave_beside_a_half(bool lower_half_free)
{
    struct region r = region_of_units(64);
    char *quarters[4], *halves[2];

    take_sorted(&r, quarters, 4, 16);
    give(&r, quarters[0]);
    take_sorted(&r, halves, 2, 8);
    give(&r, halves[lower_half_free ? 0 : 1]);
    give(&r, quarters[1]);
    assert_blocks(&r, "half of its buddy is in use", "used 8 16 16; free 8 16");
}

TEST(free_joins_nothing_but_buddies,
     "Neighbours that are no buddies are never joined, nor is a block with a buddy that is in "
     "use in part.")
{
    struct region r = region_of_units(64);
    char *quarters[4];

    take_sorted(&r, quarters, 4, 16);
    give(&r, quarters[1]);
    give(&r, quarters[2]);
    assert_blocks(&r, "the middle two of four quarters left", "used 16 16; free 16 16");
    leave_beside_a_half(true);
    leave_beside_a_half(false);
}

TEST(free_refuses_pointers_that_no_alloc_gave,
     "Freeing a pointer into the middle of a block, or one outside the region, is EINVAL and "
     "changes nothing, nor what a block in use holds.")
{
    struct region r = region_at(64 * 64 + 8, 64, 0);
    char *p = take_units(&r, 16), *q = take_units(&r, 1);
    char *upper = p > q ? p : q;
    struct block_map before = map_read(&r);

    memset(p, 'p', 16 * 64 - 1);
    memset(q, 'q', 64 - 1);
    assert_free_fails(&r, p + 64, "in the middle of a block");
    assert_free_fails(&r, p + 8 * 64, "in the middle of a block");
    assert_free_fails(&r, p + 16 * 64 - 1, "the last byte of a block");
    assert_free_fails(&r, p + 1, "in the middle of a block");
    assert_free_fails(&r, q + 16, "in the middle of a block");
    assert_free_fails(&r, q + 32, "in the middle of a block");
    assert_free_fails(&r, r.base - 64, "in front of the region");
    assert_free_fails(&r, r.base - (upper - r.base),
                      "as far in front of base as a block lies behind");
    assert_free_fails(&r, r.base + 64 * 64, "behind the last block");
    assert_free_fails(&r, r.base + r.len_bytes, "behind the region");
    assert_free_fails(&r, r.base + 2 * 64 * 64, "behind the region");
    assert_free_fails(&r, p + ((size_t)1 << 32), "far behind the region");
    assert_free_fails(&r, q + ((size_t)1 << 33), "far behind the region");
    assert_free_fails(&r, (void *)64, "far in front of the region");
    assert_free_fails(&r, (void *)(UINTPTR_MAX - 63), "far behind the region");
    for (size_t i = 0; i < before.nblocks; i++)
        if (!before.blocks[i].used && before.blocks[i].size_bytes > 64)
            assert_free_fails(&r, r.base + before.blocks[i].offset_bytes + 64,
                              "in the middle of a free block");
    assert_same_map(&r, &before, "a free that was refused");
    if (!all_bytes_are(p, 'p', 16 * 64 - 1) || !all_bytes_are(q, 'q', 64 - 1))
        fail_msg("buddy_free() refused a pointer and wrote into a block in use");

    give(&r, p);
    give(&r, q);
}

/* ---- regions of all kinds ---------------------------------------------------------- */

TEST(buddies_are_found_by_offset_from_base,
     "base is aligned to min_block_bytes only: buddies and alignment go by the offset from base.")
{
    static const size_t misaligned_units[] = {1, 2, 3, 8, 37};

    for (size_t k = 0; k < sizeof misaligned_units / sizeof *misaligned_units; k++) {
        struct region r = region_at(16 * 16, 16, misaligned_units[k] * 16);
        char *blocks[16];

        take_sorted(&r, blocks, 16, 1);
        for (size_t i = 0; i < 16; i += 2) {
            give(&r, blocks[i]);
            give(&r, blocks[i + 1]);
        }
        assert_blocks(&r, "base is aligned to one unit only, all blocks left", "used; free 16");
        if ((take_units(&r, 4) - r.base) % 64 != 0)
            fail_msg("a block of 64 bytes has an offset from base that is no multiple of 64");
    }
}

static void assert_odd_lengths_start_with_the_largest_blocks(void)
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
            fail_msg("%zu bytes in units of 16: expected %s, but there is %s", cases[i].len_bytes,
                     cases[i].picture, map_picture(&r, &map));
    }
}

TEST(odd_lengths_are_usable_to_the_last_unit,
     "A length that is no power of two starts as its largest blocks from offset 0 on, and every "
     "unit of it can be allocated.")
{
    assert_odd_lengths_start_with_the_largest_blocks();
    for (size_t nunits = 1; nunits <= 23; nunits++) {
        struct region r = region_of_units(nunits);
        struct block_map before = map_read(&r);
        char *blocks[23];

        take_sorted(&r, blocks, nunits, 1);
        for (size_t i = 0; i < nunits; i++)
            if (blocks[i] != r.base + 16 * i)
                fail_msg("%zu blocks of one unit in a region of %zu: there is none at unit %zu",
                         nunits, nunits, i);
        assert_alloc_fails(&r, 16);
        for (size_t i = 0; i < nunits; i++)
            give(&r, blocks[i]);
        assert_same_map(&r, &before, "taking and freeing every unit");
    }
}

/* What a region is asked for, whatever its length.  A small one is asked
 * first, and what goes wrong there is the business of other tests. */
enum step { ONE_BLOCK, HALVED, TWO_TAKEN, NO_MORE, WHOLE_AGAIN, BOTH_HALVES, ALL_TAKEN, STEPS };

static const char *const steps[STEPS] = {
    [ONE_BLOCK] = "buddy_init() gives one free block",
    [HALVED] = "when one unit is taken there is one free block of each smaller size",
    [TWO_TAKEN] = "one unit and half of the region are in use and do not overlap",
    [NO_MORE] = "then another half is not to be had",
    [WHOLE_AGAIN] = "when both have left there is one free block",
    [BOTH_HALVES] = "with half of the region in use, one unit comes out of the other half",
    [ALL_TAKEN] = "all of it can be had as one block",
};

static bool lies_in(const char *block, size_t bytes, const char *where, size_t where_bytes)
{
    return block != NULL && block >= where && block + bytes <= where + where_bytes;
}

/* Whether there are so many blocks, which fill the region. */
static bool has_blocks(const struct region *r, size_t nblocks)
{
    struct block_map map = {.nblocks = buddy_blocks(r->b, r->out, map_room(r->nunits))};

    if (map.nblocks != nblocks)
        return false;
    memcpy(map.blocks, r->out, nblocks * sizeof *r->out);
    return map_fault(r, &map) == NULL;
}

static bool one_unit_beside_a_half(const struct region *r, bool upper)
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

static void take_steps(size_t order, size_t unit_bytes, bool right[STEPS])
{
    struct region r = region_at(unit_bytes << order, unit_bytes, 0);
    size_t half_bytes = r.len_bytes / 2;
    char *one, *half;

    right[ONE_BLOCK] = has_blocks(&r, 1);
    one = buddy_alloc(r.b, unit_bytes - 1);
    right[HALVED] = has_blocks(&r, order + 1);
    half = buddy_alloc(r.b, half_bytes - 1);
    right[TWO_TAKEN] = lies_in(one, unit_bytes, r.base, r.len_bytes) &&
                       lies_in(half, half_bytes, r.base, r.len_bytes) &&
                       !lies_in(one, unit_bytes, half, half_bytes);
    right[NO_MORE] = buddy_alloc(r.b, half_bytes - 1) == NULL;
    buddy_free(r.b, one);
    buddy_free(r.b, half);
    right[WHOLE_AGAIN] = has_blocks(&r, 1);
    right[BOTH_HALVES] = one_unit_beside_a_half(&r, false) && one_unit_beside_a_half(&r, true);
    right[ALL_TAKEN] = buddy_alloc(r.b, r.len_bytes - 1) == r.base;
}

/* 2^20 units: neither their number nor the size of a block fits 16 bits, and
 * there are more sizes than a guess allows for.  Units of 128 KiB: that does
 * not fit 16 bits either, and is more than a page. */
TEST(large_regions_work_like_small_ones,
     "A region of 2^20 units does what one of 64 does, and so does one with units of 128 KiB: it "
     "starts as one block, gives one unit and half of itself, and is whole again afterwards.")
{
    bool small[STEPS], large[STEPS], large_units[STEPS];

    take_steps(6, 16, small);
    if (!small[TWO_TAKEN])
        fail_msg("a region of 64 units, before it comes to large ones: expected that %s",
                 steps[TWO_TAKEN]);
    take_steps(20, 16, large);
    take_steps(6, 128 << 10, large_units);
    for (size_t i = 0; i < STEPS; i++) {
        if (small[i] && !large[i])
            fail_msg("a region of 2^20 units: expected that %s; with 64 units it is so", steps[i]);
        if (small[i] && !large_units[i])
            fail_msg("a region of 64 units of 128 KiB: expected that %s; with 16 bytes it is so",
                     steps[i]);
    }
}

/* What the test writes into a block in use is still there when it is freed,
 * whatever happened around it. */
static void write_over_live_blocks(void)
{
    enum { NUNITS = 64, NSLOTS = 16, NSTEPS = 600 };
    struct region r = region_of_units(NUNITS);
    struct {
        char *block;
        size_t bytes;
        int filling;
    } slots[NSLOTS] = {{NULL, 0, 0}};
    uint64_t random = 4711;
    int taken = 0;

    for (int step = 0; step < NSTEPS; step++) {
        size_t k = random_next(&random) % NSLOTS;

        if (slots[k].block != NULL) {
            for (size_t i = 0; i < slots[k].bytes; i++)
                if ((unsigned char)slots[k].block[i] != slots[k].filling)
                    fail_msg("byte %zu of a block of %zu bytes in use was %#x and is %#x", i,
                             slots[k].bytes, (unsigned)slots[k].filling,
                             (unsigned char)slots[k].block[i]);
            give(&r, slots[k].block);
            slots[k].block = NULL;
            continue;
        }
        slots[k].bytes = (size_t)16 << random_next(&random) % 5;
        slots[k].filling = step % 255 + 1;
        slots[k].block =
            buddy_alloc(r.b, slots[k].bytes - random_next(&random) % (slots[k].bytes / 2));
        if (slots[k].block != NULL) {
            size_t offset_bytes = (uintptr_t)slots[k].block - (uintptr_t)r.base;

            taken++;
            if (offset_bytes > r.len_bytes - slots[k].bytes)
                fail_msg("buddy_alloc(b, %zu) gave a block outside the region", slots[k].bytes);
            memset(slots[k].block, slots[k].filling, slots[k].bytes);
        }
    }
    if (taken < NSTEPS / 6)
        fail_msg("only %d of some %d allocations gave a block: too few to see what becomes of them",
                 taken, NSTEPS / 2);
}

/* Each block gets what its memory held while it was free: who asks the memory
 * of a block in use whether it is free is told so. */
static void write_what_free_blocks_hold(void)
{
    struct region r = region_of_units(4);
    char *blocks[4], before[4 * 16];

    for (size_t i = 0; i < 12; i++) {
        if (i >= 4) {
            give(&r, blocks[i % 4]);
            assert_blocks(&r, "one of four blocks left, each of which holds what it held when free",
                          "used 1 1 1; free 1");
        }
        memcpy(before, r.base, sizeof before);
        blocks[i % 4] = take_units(&r, 1);
        memcpy(blocks[i % 4], before + (blocks[i % 4] - r.base), 16);
    }
}

TEST(live_blocks_keep_their_contents,
     "The allocator writes nothing into a block in use, all of it up to the power of two, and "
     "does not go by what it holds.")
{
    write_over_live_blocks();
    write_what_free_blocks_hold();
}

/* Two allocators at work by turns, and one put back to what it was: nothing
 * may hide in static variables or in memory from malloc. */
TEST(all_state_is_in_metadata_and_free_blocks,
     "All that an allocator knows lies in its metadata and its free blocks: several work side by "
     "side, and a copy put back works.")
{
    struct region r = region_of_units(64), other = region_at(32 * 64, 64, 0);
    char *meta = malloc(r.meta_bytes), *base = malloc(r.len_bytes);
    char *p = take_units(&r, 4), *q = take_units(&other, 8);
    struct block_map before = map_read(&r);

    if (meta == NULL || base == NULL)
        testkit_broken("no memory");
    memcpy(meta, r.meta, r.meta_bytes);
    memcpy(base, r.base, r.len_bytes);
    assert_blocks(&r, "one of two regions", "used 4; free 4 8 16 32");
    assert_blocks(&other, "the other of two regions", "used 8; free 8 16");

    give(&other, q);
    give(&r, p);
    take_units(&r, 32);
    take_units(&r, 1);
    assert_alloc_fails(&r, 32 * 16 - 1);
    memcpy(r.meta, meta, r.meta_bytes);
    memcpy(r.base, base, r.len_bytes);
    free(meta);
    free(base);
    assert_same_map(&r, &before, "putting back a copy of metadata and region");
    take_units(&r, 32);
    give(&r, p);
    take_units(&r, 4);
}

/* ---- random calls against a model ---------------------------------------------------- */

/* The model is a byte for each unit: 0 free, else 1, and the size of the block
 * in use that starts there.  It follows the solution's placement and says what
 * each call may give.  Free blocks are not kept but found: the largest aligned
 * free ones. */
enum {
    SEQUENCES = 100,
    OPS = 1000,
    NSLOTS = 24,
    MODEL_UNITS = 100,
    MODEL_META_BYTES = 1 << 20,
    MODEL_MEMORY_BYTES = 64 * 64 + MODEL_UNITS * 64 + 64
};

struct op {
    bool free;
    unsigned slot;     /* buddy_free() of what the last allocation into it gave */
    size_t size_bytes; /* buddy_alloc() into it */
};

struct setup {
    size_t len_bytes, min_block_bytes, misalign_bytes, nunits;
    bool looks; /* at the blocks after each call, not only after the last one */
};

struct model {
    const struct setup *setup;
    uint8_t used[MODEL_UNITS];
    size_t starts[MODEL_UNITS]; /* units of the block in use that starts here, or 0 */
};

/* What every run of a test works with. */
struct playground {
    char *meta, *memory;
    struct buddy_block *maps; /* for each op, MODEL_UNITS + 1 */
    struct script *script;
};

/* Why a sequence shows a bug, and at which of its ops. */
struct verdict {
    size_t op;
    char gave[80];
    char why[8192];
};

static bool all_free(const struct model *m, size_t from, size_t nunits)
{
    if (from + nunits > m->setup->nunits)
        return false;
    for (size_t unit = from; unit < from + nunits; unit++)
        if (m->used[unit])
            return false;
    return true;
}

/* The size in units of the free block that unit, which is free, belongs to. */
static size_t free_block_around(const struct model *m, size_t unit)
{
    size_t nunits = 1;

    while (all_free(m, unit / (2 * nunits) * (2 * nunits), 2 * nunits))
        nunits *= 2;
    return nunits;
}

static size_t smallest_that_fits(const struct model *m, size_t wanted_units)
{
    size_t smallest = 0;

    for (size_t unit = 0; unit < m->setup->nunits; unit++) {
        size_t nunits = m->used[unit] ? 0 : free_block_around(m, unit);

        if (nunits >= wanted_units && (smallest == 0 || nunits < smallest))
            smallest = nunits;
    }
    return smallest;
}

static size_t model_map(const struct model *m, struct buddy_block *out)
{
    size_t n = 0, unit_bytes = m->setup->min_block_bytes;

    for (size_t unit = 0; unit < m->setup->nunits; n++) {
        size_t nunits = m->starts[unit] ? m->starts[unit] : free_block_around(m, unit);

        out[n] = (struct buddy_block){unit * unit_bytes, nunits * unit_bytes, m->used[unit]};
        unit += nunits;
    }
    return n;
}

static bool judge_alloc(struct model *m, size_t size_bytes, uintptr_t offset_bytes, bool null,
                        int error, struct verdict *v)
{
    size_t unit_bytes = m->setup->min_block_bytes, wanted = 1;
    size_t unit = offset_bytes / unit_bytes, fits, around;

    if (size_bytes == 0) {
        if (null && error == EINVAL)
            return true;
        snprintf(v->why, sizeof v->why, "expected NULL and EINVAL");
        return false;
    }
    while (wanted * unit_bytes < size_bytes && wanted <= m->setup->nunits)
        wanted *= 2;
    fits = smallest_that_fits(m, wanted);
    if (null) {
        if (fits == 0 && error == ENOMEM)
            return true;
        if (fits == 0)
            snprintf(v->why, sizeof v->why, "expected NULL and ENOMEM");
        else
            snprintf(v->why, sizeof v->why, "expected a block: one of %zu bytes is free",
                     fits * unit_bytes);
        return false;
    }
    if (fits == 0) {
        snprintf(v->why, sizeof v->why, "expected NULL: no free block has %zu bytes",
                 wanted * unit_bytes);
        return false;
    }
    if (offset_bytes % (wanted * unit_bytes) != 0 || unit >= m->setup->nunits ||
        !all_free(m, unit, wanted)) {
        snprintf(v->why, sizeof v->why,
                 "expected %zu bytes that are free, inside the region, at a multiple of that size",
                 wanted * unit_bytes);
        return false;
    }
    around = free_block_around(m, unit);
    if (around != fits) {
        snprintf(v->why, sizeof v->why,
                 "that splits a block of %zu bytes, but one of %zu bytes is free",
                 around * unit_bytes, fits * unit_bytes);
        return false;
    }
    memset(m->used + unit, 1, wanted);
    m->starts[unit] = wanted;
    return true;
}

static bool judge_free(struct model *m, bool null, uintptr_t offset_bytes, int result, int error,
                       struct verdict *v)
{
    size_t unit = offset_bytes / m->setup->min_block_bytes;
    bool valid = null || (unit < m->setup->nunits && m->starts[unit] != 0);

    if (valid != (result == 0) || (!valid && (result != -1 || error != EINVAL))) {
        snprintf(v->why, sizeof v->why, "expected %s",
                 valid ? "0" : "-1 and EINVAL, as it was freed already");
        return false;
    }
    if (valid && !null) {
        memset(m->used + unit, 0, m->starts[unit]);
        m->starts[unit] = 0;
    }
    return true;
}

static bool judge_map(const struct model *m, const struct buddy_block *shown, size_t n,
                      struct verdict *v)
{
    struct region r = {.unit_bytes = m->setup->min_block_bytes, .nunits = m->setup->nunits};
    struct block_map actual = {.nblocks = n}, expected;
    char text[2048];

    expected.nblocks = model_map(m, expected.blocks);
    if (n >= 1 && n <= m->setup->nunits)
        memcpy(actual.blocks, shown, n * sizeof *shown);
    else
        actual.nblocks = 0;
    for (size_t i = 0; i < actual.nblocks; i++)
        actual.blocks[i].used = actual.blocks[i].used != 0;
    for (size_t i = 0; i < expected.nblocks || n != expected.nblocks; i++)
        if (n != expected.nblocks ||
            actual.blocks[i].offset_bytes != expected.blocks[i].offset_bytes ||
            actual.blocks[i].size_bytes != expected.blocks[i].size_bytes ||
            actual.blocks[i].used != expected.blocks[i].used) {
            snprintf(text, sizeof text, "%s", map_picture(&r, &expected));
            snprintf(v->why, sizeof v->why,
                     "expected the blocks (in units of %zu)\n    %s, but buddy_blocks() shows\n"
                     "    %s",
                     r.unit_bytes, text, map_picture(&r, &actual));
            return false;
        }
    return true;
}

static void describe_result(const struct op *op, uint64_t result, const char *base, int error,
                            struct verdict *v)
{
    size_t length = 0;

    if (op->free)
        length = (size_t)snprintf(v->gave, sizeof v->gave, "%d", (int)result);
    else if (result != 0)
        snprintf(v->gave, sizeof v->gave, "base%+td", (ptrdiff_t)(result - (uintptr_t)base));
    else
        length = (size_t)snprintf(v->gave, sizeof v->gave, "NULL");
    if (op->free ? (int)result != 0 : result == 0)
        snprintf(v->gave + length, sizeof v->gave - length, " with errno %d (%s)", error,
                 error == 0 ? "not set" : strerror(error));
}

/* Runs a sequence on a new allocator; whether it shows a bug, and which. */
static bool shows_a_bug(const struct playground *g, const struct setup *setup, const struct op *ops,
                        size_t n, struct verdict *v)
{
    char *base = g->memory + setup->misalign_bytes;
    size_t last[NSLOTS], calls[OPS], size_of, init;
    struct model model = {.setup = setup};
    struct buddy *b;

    memset(g->meta, 0, MODEL_META_BYTES); /* dirty memory has a test of its own */
    memset(g->memory, 0, MODEL_MEMORY_BYTES);
    script_clear(g->script);
    size_of = RECORD(g->script, buddy_sizeof(setup->len_bytes, setup->min_block_bytes));
    init = RECORD(g->script, buddy_init(g->meta, base, setup->len_bytes, setup->min_block_bytes));
    b = script_value(g->script, init);
    for (size_t k = 0; k < NSLOTS; k++)
        last[k] = OPS;
    memset(g->maps, 0xa5, n * (MODEL_UNITS + 1) * sizeof *g->maps);
    for (size_t i = 0; i < n; i++) {
        unsigned slot = ops[i].slot;

        if (ops[i].free) {
            calls[i] =
                RECORD(g->script, buddy_free(b, last[slot] == OPS
                                                    ? NULL
                                                    : script_value(g->script, calls[last[slot]])));
        } else {
            calls[i] = RECORD(g->script, buddy_alloc(b, ops[i].size_bytes));
            last[slot] = i;
        }
        if (setup->looks || i + 1 == n)
            RECORD(g->script, buddy_blocks(b, g->maps + i * (MODEL_UNITS + 1), MODEL_UNITS + 1));
    }
    script_run(g->script);

    if (script_result(g->script, size_of) - 1 >= MODEL_META_BYTES ||
        script_result(g->script, init) == 0) {
        v->op = 0;
        snprintf(v->gave, sizeof v->gave, "nothing");
        snprintf(v->why, sizeof v->why, "expected buddy_sizeof() and buddy_init() to succeed");
        return true;
    }

    uintptr_t values[NSLOTS] = {0};
    for (v->op = 0; v->op < n; v->op++) {
        const struct op *op = &ops[v->op];
        uint64_t result = script_result(g->script, calls[v->op]);
        int error = script_errno(g->script, calls[v->op]);
        bool right;

        describe_result(op, result, base, error, v);
        if (op->free) {
            right = judge_free(&model, values[op->slot] == 0, values[op->slot] - (uintptr_t)base,
                               (int)result, error, v);
        } else {
            values[op->slot] = result;
            right = judge_alloc(&model, op->size_bytes, result - (uintptr_t)base, result == 0,
                                error, v);
        }
        if (right && (setup->looks || v->op + 1 == n))
            right = judge_map(&model, g->maps + v->op * (MODEL_UNITS + 1),
                              script_result(g->script, calls[v->op] + 1), v);
        if (!right)
            return true;
    }
    return false;
}

/* A sequence that shows a bug, while it is made shorter. */
struct finding {
    const struct playground *playground;
    struct setup setup;
    struct op ops[OPS];
    size_t n;
    struct verdict verdict;
};

/* Takes the other sequence instead, if that shows a bug as well; all after the
 * call that goes wrong is left out. */
static bool replace(struct finding *f, const struct setup *setup, const struct op *ops, size_t n)
{
    struct verdict v;

    if (!shows_a_bug(f->playground, setup, ops, n, &v))
        return false;
    f->setup = *setup;
    f->n = v.op + 1;
    memmove(f->ops, ops, f->n * sizeof *ops);
    f->verdict = v;
    return true;
}

/* Copies the calls of f but for those from one on. */
static size_t without(const struct op *ops, size_t n, size_t from, size_t left_out, struct op *out)
{
    memcpy(out, ops, from * sizeof *ops);
    memcpy(out + from, ops + from + left_out, (n - from - left_out) * sizeof *ops);
    return n - left_out;
}

/* Each of these returns whether it made the sequence simpler. */

static bool leave_out_pieces(struct finding *f)
{
    size_t n_before = f->n;
    struct op shorter[OPS];

    for (size_t piece = (f->n + 1) / 2; piece > 0; piece = piece > 1 ? (piece + 1) / 2 : 0)
        for (size_t from = 0; from < f->n;) {
            size_t left_out = piece < f->n - from ? piece : f->n - from;
            size_t n = without(f->ops, f->n, from, left_out, shorter);

            if (!replace(f, &f->setup, shorter, n))
                from += piece;
        }
    return f->n < n_before;
}

/* What comes and goes: one without the other may be another bug's business. */
static bool leave_out_pairs(struct finding *f)
{
    enum { FEW = 40 };
    struct op shorter[OPS];

    if (f->n > FEW)
        return false;
    for (size_t i = 0; i < f->n; i++)
        for (size_t j = i + 1; j < f->n; j++) {
            size_t n = without(f->ops, f->n, j, 1, shorter);
            struct op shortest[OPS];

            n = without(shorter, n, i, 1, shortest);
            if (replace(f, &f->setup, shortest, n))
                return true;
        }
    return false;
}

static bool make_sizes_smaller(struct finding *f)
{
    bool changed = false;
    struct op smaller[OPS];

    for (size_t i = 0; i < f->n; i++)
        for (bool go_on = true; go_on && i < f->n && f->ops[i].size_bytes > 1;) {
            size_t size_bytes = f->ops[i].size_bytes;

            memcpy(smaller, f->ops, f->n * sizeof *smaller);
            smaller[i].size_bytes = size_bytes / 2;
            go_on = replace(f, &f->setup, smaller, f->n);
            if (!go_on) {
                smaller[i].size_bytes = size_bytes - 1;
                go_on = replace(f, &f->setup, smaller, f->n);
            }
            changed |= go_on;
        }
    return changed;
}

static bool look_at_the_end_only(struct finding *f)
{
    struct setup simpler = f->setup;

    simpler.looks = false;
    return f->setup.looks && replace(f, &simpler, f->ops, f->n);
}

static bool make_region_smaller(struct finding *f)
{
    bool changed = false;
    struct setup simpler = f->setup;

    simpler.misalign_bytes = 0;
    if (f->setup.misalign_bytes > 0)
        changed |= replace(f, &simpler, f->ops, f->n);
    simpler = f->setup;
    simpler.min_block_bytes = 16;
    simpler.len_bytes = simpler.nunits * 16;
    simpler.misalign_bytes = f->setup.misalign_bytes / f->setup.min_block_bytes * 16;
    if (f->setup.min_block_bytes > 16)
        changed |= replace(f, &simpler, f->ops, f->n);
    for (size_t nunits = 1; nunits <= f->setup.nunits; nunits++) {
        simpler = f->setup;
        simpler.nunits = nunits;
        simpler.len_bytes = nunits * simpler.min_block_bytes;
        if (simpler.len_bytes < f->setup.len_bytes)
            changed |= replace(f, &simpler, f->ops, f->n);
    }
    return changed;
}

/* Until nothing more can be left out or made smaller. */
static void shrink(struct finding *f)
{
    for (bool changed = true; changed;) {
        changed = look_at_the_end_only(f);
        changed |= leave_out_pieces(f);
        changed |= make_sizes_smaller(f);
        changed |= make_region_smaller(f);
        changed = changed || leave_out_pairs(f);
    }
    if (!replace(f, &f->setup, f->ops, f->n))
        fail_msg("the same calls gave right results in one run and wrong ones in another");
}

static struct setup random_setup(uint64_t *random)
{
    struct setup s = {.nunits = 1 + random_next(random) % MODEL_UNITS,
                      .min_block_bytes = (size_t)16 << random_next(random) % 3};

    if (random_next(random) % 2)
        s.nunits = 64;
    s.len_bytes = s.nunits * s.min_block_bytes + random_next(random) % s.min_block_bytes;
    s.misalign_bytes = random_next(random) % 64 * s.min_block_bytes;
    s.looks = random_next(random) % 3 != 0;
    return s;
}

/* Frees mostly what is in use, and now and then what is not any more. */
static void random_ops(uint64_t *random, const struct setup *setup, struct op *ops)
{
    bool taken[NSLOTS] = {false};

    for (size_t i = 0; i < OPS; i++) {
        unsigned slot = (unsigned)(random_next(random) % NSLOTS);
        size_t largest = setup->min_block_bytes << random_next(random) % 7;

        ops[i] = (struct op){.free = taken[slot] || random_next(random) % 16 == 0, .slot = slot};
        if (!ops[i].free)
            ops[i].size_bytes = random_next(random) % (largest + 1);
        taken[slot] = !ops[i].free;
    }
}

/* The calls of a short sequence, as a student would write them: its blocks
 * are p1, p2, ... in the order in which they are asked for. */
static const char *as_program(const struct op *ops, size_t n)
{
    static char text[4096];
    unsigned names[NSLOTS] = {0}, nnames = 0;
    size_t length = 0;

    for (size_t i = 0; i < n && length < sizeof text - 200; i++) {
        char *end = text + length;
        size_t rest = sizeof text - length;
        unsigned *name = &names[ops[i].slot];

        if (!ops[i].free)
            length += (size_t)snprintf(end, rest, "    p%u = buddy_alloc(b, %zu);\n",
                                       *name = ++nnames, ops[i].size_bytes);
        else if (*name > 0)
            length += (size_t)snprintf(end, rest, "    buddy_free(b, p%u);\n", *name);
        else
            length += (size_t)snprintf(end, rest, "    buddy_free(b, NULL);\n");
    }
    if (length >= sizeof text - 200)
        snprintf(text + length, sizeof text - length, "    ... %zu calls in all\n", n);
    return text;
}

/* ", base 32 bytes past a multiple of 4096": "" if it is well aligned and the
 * blocks are looked at after the last call only. */
static const char *as_condition(const struct setup *setup)
{
    static char text[128];
    size_t length = 0;

    text[0] = '\0';
    if (setup->misalign_bytes > 0)
        length = (size_t)snprintf(text, sizeof text, ", base %zu bytes past a multiple of 4096",
                                  setup->misalign_bytes);
    if (setup->looks)
        snprintf(text + length, sizeof text - length, ", buddy_blocks() after each");
    return text;
}

TEST(random_calls_agree_with_a_model,
     "100 000 random calls give what a simple model says; a failure shows a short sequence of "
     "calls that goes wrong.")
{
    struct playground g = {
        .meta = arena_alloc("meta", MODEL_META_BYTES),
        .memory = arena_alloc_at("base", MODEL_MEMORY_BYTES, 4096, 0),
        .maps = arena_alloc("out", OPS * (MODEL_UNITS + 1) * sizeof(struct buddy_block)),
        .script = script_new(2 * OPS + 2),
    };
    uint64_t random = testkit_seed();
    static struct finding f;

    f.playground = &g;
    for (size_t i = 0; i < SEQUENCES; i++) {
        struct setup setup = random_setup(&random);
        static struct op ops[OPS];

        random_ops(&random, &setup, ops);
        if (!replace(&f, &setup, ops, OPS))
            continue;
        shrink(&f);
        fail_msg("these calls, in a region of %zu bytes with min_block_bytes %zu%s:\n"
                 "%s  the last one gave %s: %s",
                 f.setup.len_bytes, f.setup.min_block_bytes, as_condition(&f.setup),
                 as_program(f.ops, f.n), f.verdict.gave, f.verdict.why);
    }
}
