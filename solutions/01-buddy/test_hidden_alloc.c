/* test_hidden_alloc.c - buddy_alloc(). */
#include "test_hidden.h"

/* A block of 16 units is free at one end of the region and one of 8 at the
 * other; all else is in use.  First fit finds the 16 in one of the two cases,
 * best fit never. */
static void alloc_with_two_free_blocks(bool small_first)
{
    struct region r = region_of_units(64);
    char *quarters[4];

    alloc_sorted(&r, quarters, 4, 16);
    free_block(&r, quarters[small_first ? 0 : 3]);
    alloc_units(&r, 8);
    free_block(&r, quarters[small_first ? 3 : 0]);
    assert_blocks(&r, "one block of 8 and one of 16 are free", "used 8 16 16; free 8 16");
    alloc_units(&r, 8);
    assert_blocks(&r, "8 units are allocated", "used 8 8 16 16; free 16");
}

TEST(alloc_takes_the_smallest_block_that_fits,
     "Every block is taken from the smallest free block that is large enough (best fit), "
     "wherever it lies.")
{
    alloc_with_two_free_blocks(true);
    alloc_with_two_free_blocks(false);
}

/* Frees every second block, which makes as many free blocks of one size as
 * possible, and allocates as many again. */
static void alloc_again_what_was_freed(void)
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
            fail_msg("%d of %d blocks of one unit were freed: then buddy_alloc(b, 15) returned "
                     "%zu blocks and now NULL",
                     HALF, NBLOCKS, i);
}

TEST(alloc_fails_when_exhausted_and_recovers,
     "Allocation fails with ENOMEM when no free block is large enough; freed memory can be "
     "allocated again, even a thousand blocks.")
{
    struct region r = region_of_units(16);
    char *blocks[16], *again;

    alloc_sorted(&r, blocks, 16, 1);
    for (size_t i = 0; i < 16; i++)
        if (blocks[i] != r.base + 16 * i)
            fail_msg("16 units were allocated one by one: expected one of them at unit %zu", i);
    assert_alloc_fails_with(&r, 1, ENOMEM);
    assert_alloc_fails_with(&r, 16, ENOMEM);

    free_block(&r, blocks[5]);
    again = alloc_units(&r, 1);
    if (again != blocks[5])
        fail_msg("buddy_alloc(b, 15) returned base+%td: expected base+80, the only free block",
                 again - r.base);
    assert_alloc_fails_with(&r, 16, ENOMEM);

    for (size_t i = 0; i < 16; i++)
        free_block(&r, blocks[i]);
    for (size_t i = 0; i < 16; i++)
        alloc_units(&r, 1);
    assert_alloc_fails_with(&r, 1, ENOMEM);
    alloc_again_what_was_freed();
}

TEST(alloc_rejects_huge_sizes,
     "A request larger than the region fails with ENOMEM, even when rounding it up overflows or "
     "when it needs more than 32 bits.")
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
     "A failed allocation leaves all blocks unchanged; in particular, it splits none.")
{
    struct region r = region_of_units(64);
    struct block_map before;

    alloc_units(&r, 16);
    before = map_read(&r);
    assert_alloc_fails(&r, 33 * 16);
    assert_alloc_fails(&r, 48 * 16); /* external fragmentation: free, but not in one block */
    assert_alloc_fails(&r, 65 * 16);
    assert_same_map(&r, &before, "a failed allocation");
    alloc_units(&r, 32);
    alloc_units(&r, 16);
}
