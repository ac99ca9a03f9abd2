/* test_public.c - the public tests of 01-buddy: the first steps and the
 * lecture's example.  Each call of a function of buddy.h runs in a separate
 * process that has loaded your code; see ../testkit/testkit.h.
 */
#include "test_support.h"

TEST(init_creates_one_free_block,
     "After buddy_init(), a region whose length is a power of two is one free block.")
{
    struct region r = region_of_units(64);

    assert_blocks(&r, "after buddy_init()", "used; free 64");
}

TEST(alloc_of_zero_and_free_of_null_change_nothing,
     "Neither buddy_alloc(b, 0), which fails with EINVAL, nor buddy_free(b, NULL), which returns "
     "0, changes any block.")
{
    struct region r = region_of_units(64);

    assert_alloc_fails_with(&r, 0, EINVAL);
    if (buddy_free(r.b, NULL) != 0)
        fail_msg("buddy_free(b, NULL) failed (%s): expected 0, as NULL is ignored",
                 error_name(errno));
    assert_blocks(&r, "after buddy_alloc(b, 0) and buddy_free(b, NULL)", "used; free 64");
}

TEST(alloc_rounds_up_to_a_power_of_two,
     "The size of a block is the requested size rounded up to a power of two; a power of two "
     "is not changed.")
{
    static const struct {
        size_t requested_bytes, block_bytes;
    } cases[] = {{17, 32},   {32, 32},     {33, 64},     {100, 128},  {128, 128},
                 {129, 256}, {1000, 1024}, {1024, 1024}, {4096, 4096}};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct region r = region_at(4096, 16, 0);
        char *block = alloc_block(&r, cases[i].requested_bytes);

        assert_block_has(&r, block, cases[i].requested_bytes, cases[i].block_bytes);
    }
}

TEST(alloc_returns_at_least_a_minimum_block, "No block is smaller than min_block_bytes.")
{
    struct region r = region_at(1024, 64, 0);

    assert_block_has(&r, alloc_block(&r, 1), 1, 64);
    assert_block_has(&r, alloc_block(&r, 31), 31, 64);
    assert_block_has(&r, alloc_block(&r, 63), 63, 64);
}

TEST(blocks_are_disjoint_and_aligned_to_their_size,
     "Blocks in use do not overlap, and the offset of a block from base is a multiple of its "
     "size.")
{
    static const size_t units[] = {16, 2, 32, 1, 4, 16, 1, 8, 2, 4};
    struct region r = region_of_units(128);
    bool taken[128] = {false};

    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        size_t first = (size_t)(alloc_units(&r, units[i]) - r.base) / r.unit_bytes;

        if (first % units[i] != 0)
            fail_msg("the block of %zu units starts at unit %zu: expected a multiple of %zu",
                     units[i], first, units[i]);
        for (size_t unit = first; unit < first + units[i]; unit++) {
            if (taken[unit])
                fail_msg("the block of %zu units at unit %zu overlaps a block in use at unit %zu",
                         units[i], first, unit);
            taken[unit] = true;
        }
    }
}

TEST(the_lecture_picture_step_by_step,
     "After each allocation and each free of the lecture's example, the blocks are those of the "
     "picture in buddy.h.")
{
    struct region r = region_of_units(128); /* of 16 bytes */
    char *a, *b, *c;

    a = alloc_block(&r, 16 * 16);
    assert_blocks(&r, "A (16) is allocated", "used 16; free 16 32 64");
    b = alloc_block(&r, 32 * 16);
    assert_blocks(&r, "B (32) is allocated", "used 16 32; free 16 64");
    c = alloc_block(&r, 8 * 16);
    assert_blocks(&r, "C (8) is allocated", "used 8 16 32; free 8 64");
    free_block(&r, a);
    assert_blocks(&r, "A is freed", "used 8 32; free 8 16 64");
    free_block(&r, c);
    assert_blocks(&r, "C is freed", "used 32; free 32 64");
    free_block(&r, b);
    assert_blocks(&r, "B is freed", "used; free 128");
}

TEST(free_coalesces_two_buddies,
     "When both halves of a block are free, they coalesce (merge) into one block, whichever was "
     "freed last.")
{
    for (int lower_first = 0; lower_first <= 1; lower_first++) {
        struct region r = region_of_units(2);
        char *blocks[2];

        alloc_sorted(&r, blocks, 2, 1);
        free_block(&r, blocks[lower_first ? 0 : 1]);
        assert_blocks(&r, "one of two buddies is free", "used 1; free 1");
        free_block(&r, blocks[lower_first ? 1 : 0]);
        assert_blocks(&r, "both buddies are free", "used; free 2");
    }
}

/* Frees two buddies, p and q, each of them twice.  A solution may return either
 * half first, so the test runs with both orders. */
static void free_both_twice(bool q_first)
{
    struct region r = region_of_units(64);
    char *p = alloc_units(&r, 16), *q = alloc_units(&r, 16);
    char *first = q_first ? q : p, *second = q_first ? p : q;
    struct block_map before;

    free_block(&r, first);
    before = map_read(&r);
    assert_free_fails(&r, first, "a double free");
    assert_same_map(&r, &before, "a double free");

    free_block(&r, second);
    before = map_read(&r);
    assert_free_fails(&r, second, "a double free");
    assert_free_fails(&r, first, "a double free");
    for (size_t i = 0; i < before.nblocks; i++)
        assert_free_fails(&r, r.base + before.blocks[i].offset_bytes, "a free block");
    assert_same_map(&r, &before, "a double free");
}

TEST(free_rejects_a_double_free, "A double free fails with EINVAL and changes no block.")
{
    free_both_twice(false);
    free_both_twice(true);
}
