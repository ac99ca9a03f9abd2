/* test_public.c - the tests of 01-buddy that you have: the first steps and the
 * lecture's picture.  Behind each call of buddy.h is a process of its own
 * that has loaded your code (../testkit/testkit.h says how).
 */
#include "test_support.h"

TEST(init_gives_one_free_block,
     "After buddy_init() a region whose length is a power of two is one free block.")
{
    struct region r = region_of_units(64);

    assert_blocks(&r, "after buddy_init()", "used; free 64");
}

TEST(empty_requests_change_nothing,
     "buddy_alloc(b, 0) is EINVAL, buddy_free(b, NULL) is 0, and both leave the blocks as they "
     "are.")
{
    struct region r = region_of_units(64);

    assert_alloc_fails_with(&r, 0, EINVAL);
    if (buddy_free(r.b, NULL) != 0)
        fail_msg("buddy_free(b, NULL) failed (%s): expected 0, nothing is done", strerror(errno));
    assert_blocks(&r, "after buddy_alloc(b, 0) and buddy_free(b, NULL)", "used; free 64");
}

TEST(alloc_rounds_up_to_a_power_of_two,
     "A block has the size asked for, rounded up to a power of two; a power of two stays as it "
     "is.")
{
    static const struct {
        size_t asked_bytes, block_bytes;
    } cases[] = {{17, 32},   {32, 32},     {33, 64},     {100, 128},  {128, 128},
                 {129, 256}, {1000, 1024}, {1024, 1024}, {4096, 4096}};

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct region r = region_at(4096, 16, 0);
        char *block = take(&r, cases[i].asked_bytes);

        assert_block_has(&r, block, cases[i].asked_bytes, cases[i].block_bytes);
    }
}

TEST(alloc_gives_at_least_a_minimum_block, "No block is smaller than min_block_bytes.")
{
    struct region r = region_at(1024, 64, 0);

    assert_block_has(&r, take(&r, 1), 1, 64);
    assert_block_has(&r, take(&r, 31), 31, 64);
    assert_block_has(&r, take(&r, 63), 63, 64);
}

TEST(blocks_are_disjoint_and_aligned_to_their_size,
     "Blocks in use do not overlap, and a block's offset from base is a multiple of its size.")
{
    static const size_t units[] = {16, 2, 32, 1, 4, 16, 1, 8, 2, 4};
    struct region r = region_of_units(128);
    bool taken[128] = {false};

    for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
        size_t first = (size_t)(take_units(&r, units[i]) - r.base) / r.unit_bytes;

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
     "The lecture's example: A 16, B 32 and C 8 of 128 units come and go, and the blocks are "
     "those of the picture.")
{
    struct region r = region_of_units(128); /* of 16 bytes */
    char *a, *b, *c;

    a = take(&r, 16 * 16);
    assert_blocks(&r, "A takes 16", "used 16; free 16 32 64");
    b = take(&r, 32 * 16);
    assert_blocks(&r, "B takes 32", "used 16 32; free 16 64");
    c = take(&r, 8 * 16);
    assert_blocks(&r, "C takes 8", "used 8 16 32; free 8 64");
    give(&r, a);
    assert_blocks(&r, "A leaves", "used 8 32; free 8 16 64");
    give(&r, c);
    assert_blocks(&r, "C leaves", "used 32; free 32 64");
    give(&r, b);
    assert_blocks(&r, "B leaves", "used; free 128");
}

TEST(free_joins_two_buddies,
     "When both halves of a block are free they are one block again, whichever was freed last.")
{
    for (int lower_first = 0; lower_first <= 1; lower_first++) {
        struct region r = region_of_units(2);
        char *blocks[2];

        take_sorted(&r, blocks, 2, 1);
        give(&r, blocks[lower_first ? 0 : 1]);
        assert_blocks(&r, "one of two buddies is free", "used 1; free 1");
        give(&r, blocks[lower_first ? 1 : 0]);
        assert_blocks(&r, "both buddies are free", "used; free 2");
    }
}

/* Two blocks beside each other, p and q, leave in the one order and in the
 * other: of these one is the lower half and one the upper, whichever a
 * solution takes first. */
static void free_twice(bool q_first)
{
    struct region r = region_of_units(64);
    char *p = take_units(&r, 16), *q = take_units(&r, 16);
    char *first = q_first ? q : p, *second = q_first ? p : q;
    struct block_map before;

    give(&r, first);
    before = map_read(&r);
    assert_free_fails(&r, first, "freed already");
    assert_same_map(&r, &before, "a second free");

    give(&r, second);
    before = map_read(&r);
    assert_free_fails(&r, second, "freed already");
    assert_free_fails(&r, first, "freed already");
    for (size_t i = 0; i < before.nblocks; i++)
        assert_free_fails(&r, r.base + before.blocks[i].offset_bytes, "a free block");
    assert_same_map(&r, &before, "a second free");
}

TEST(free_refuses_a_second_free,
     "Freeing a block that is free already is EINVAL and changes nothing.")
{
    free_twice(false);
    free_twice(true);
}
