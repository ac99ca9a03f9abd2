/* test_hidden_free.c - buddy_free(): coalescing, and pointers that it must reject. */
#include "test_hidden.h"

/* 64 blocks of one unit are freed in four different sequences.  Before the last
 * free there is one unit in use and one free block of every smaller order. */
TEST(free_coalesces_up_to_the_whole_region,
     "Coalescing repeats as long as the buddy is free and of the same size, in whatever order "
     "blocks are freed.")
{
    for (size_t step = 1; step <= 37; step += 12) { /* odd: reaches every block once */
        struct region r = region_of_units(64);
        char *blocks[64];

        alloc_sorted(&r, blocks, 64, 1);
        for (size_t i = 0; i < 63; i++)
            free_block(&r, blocks[i * step % 64]);
        assert_blocks(&r, "all but one of 64 blocks are freed", "used 1; free 1 2 4 8 16 32");
        free_block(&r, blocks[63 * step % 64]);
        assert_blocks(&r, "all 64 blocks are freed", "used; free 64");
    }
}

/* The first of four quarters is split and one half of it is free when the second
 * quarter is freed: the buddy is partly in use. */
static void free_beside_a_half(bool lower_half_free)
{
    struct region r = region_of_units(64);
    char *quarters[4], *halves[2];

    alloc_sorted(&r, quarters, 4, 16);
    free_block(&r, quarters[0]);
    alloc_sorted(&r, halves, 2, 8);
    free_block(&r, halves[lower_half_free ? 0 : 1]);
    free_block(&r, quarters[1]);
    assert_blocks(&r, "a block is freed while half of its buddy is in use",
                  "used 8 16 16; free 8 16");
}

TEST(free_coalesces_only_buddies,
     "Adjacent blocks that are not buddies never coalesce, nor does a block with a buddy that is "
     "partly in use.")
{
    struct region r = region_of_units(64);
    char *quarters[4];

    alloc_sorted(&r, quarters, 4, 16);
    free_block(&r, quarters[1]);
    free_block(&r, quarters[2]);
    assert_blocks(&r, "the middle two of four quarters are freed", "used 16 16; free 16 16");
    free_beside_a_half(true);
    free_beside_a_half(false);
}

TEST(free_rejects_interior_and_outside_pointers,
     "Freeing an interior pointer or a pointer outside the region fails with EINVAL and changes "
     "neither the blocks nor their contents.")
{
    struct region r = region_at(64 * 64 + 8, 64, 0);
    char *p = alloc_units(&r, 16), *q = alloc_units(&r, 1);
    char *upper = p > q ? p : q;
    struct block_map before = map_read(&r);

    memset(p, 'p', 16 * 64 - 1);
    memset(q, 'q', 64 - 1);
    assert_free_fails(&r, p + 64, "an interior pointer");
    assert_free_fails(&r, p + 8 * 64, "an interior pointer");
    assert_free_fails(&r, p + 16 * 64 - 1, "the last byte of a block");
    assert_free_fails(&r, p + 1, "an interior pointer");
    assert_free_fails(&r, q + 16, "an interior pointer");
    assert_free_fails(&r, q + 32, "an interior pointer");
    assert_free_fails(&r, r.base - 64, "below the region");
    assert_free_fails(&r, r.base - (upper - r.base), "as far below base as a block lies above it");
    assert_free_fails(&r, r.base + 64 * 64, "after the last block");
    assert_free_fails(&r, r.base + r.len_bytes, "above the region");
    assert_free_fails(&r, r.base + 2 * 64 * 64, "above the region");
    assert_free_fails(&r, p + ((size_t)1 << 32), "far above the region");
    assert_free_fails(&r, q + ((size_t)1 << 33), "far above the region");
    assert_free_fails(&r, (void *)64, "far below the region");
    assert_free_fails(&r, (void *)(UINTPTR_MAX - 63), "far above the region");
    for (size_t i = 0; i < before.nblocks; i++)
        if (!before.blocks[i].used && before.blocks[i].size_bytes > 64)
            assert_free_fails(&r, r.base + before.blocks[i].offset_bytes + 64,
                              "an interior pointer of a free block");
    assert_same_map(&r, &before, "a rejected free");
    if (!all_bytes_are(p, 'p', 16 * 64 - 1) || !all_bytes_are(q, 'q', 64 - 1))
        fail_msg("buddy_free() rejected a pointer and wrote into a block in use");

    free_block(&r, p);
    free_block(&r, q);
}
