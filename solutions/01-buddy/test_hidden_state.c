/* test_hidden_state.c - where an allocator may keep its state: in the metadata and
 * in free blocks, never in blocks in use or in static variables.
 */
#include "test_hidden.h"

/* One block in use, every byte of which holds fill; none when block is NULL. */
struct slot {
    char *block;
    size_t bytes;
    int fill;
};

static void assert_contents_kept(const struct slot *slot)
{
    for (size_t i = 0; i < slot->bytes; i++)
        if ((unsigned char)slot->block[i] != slot->fill)
            fail_msg("byte %zu of a block of %zu bytes in use was %#x and is %#x", i, slot->bytes,
                     (unsigned)slot->fill, (unsigned char)slot->block[i]);
}

/* Allocates size_bytes, for which a block of slot->bytes is returned, and fills the
 * whole block. */
static void alloc_and_fill(const struct region *r, struct slot *slot, size_t size_bytes)
{
    size_t offset_bytes;

    slot->block = buddy_alloc(r->b, size_bytes);
    if (slot->block == NULL)
        return;
    offset_bytes = (uintptr_t)slot->block - (uintptr_t)r->base;
    if (offset_bytes > r->len_bytes - slot->bytes)
        fail_msg("buddy_alloc(b, %zu) returned a block outside the region", size_bytes);
    memset(slot->block, slot->fill, slot->bytes);
}

/* What the test writes into a block in use must still be there when the block
 * is freed, whatever was allocated and freed in the meantime. */
static void write_into_live_blocks(void)
{
    enum { NUNITS = 64, NSLOTS = 16, NSTEPS = 600 };
    struct region r = region_of_units(NUNITS);
    struct slot slots[NSLOTS] = {{NULL, 0, 0}};
    uint64_t random = 4711;
    int nallocated = 0;

    for (int step = 0; step < NSTEPS; step++) {
        size_t k = random_below(&random, NSLOTS);

        if (slots[k].block != NULL) {
            assert_contents_kept(&slots[k]);
            free_block(&r, slots[k].block);
            slots[k].block = NULL;
            continue;
        }
        slots[k].bytes = (size_t)16 << random_below(&random, 5);
        slots[k].fill = step % 255 + 1;
        alloc_and_fill(&r, &slots[k], slots[k].bytes - random_below(&random, slots[k].bytes / 2));
        nallocated += slots[k].block != NULL;
    }
    if (nallocated < NSTEPS / 6)
        fail_msg("only %d of about %d allocations returned a block: too few to judge by",
                 nallocated, NSTEPS / 2);
}

/* Writes into each allocated block what its memory held while it was free: an
 * allocator that keeps the state of a block in the block mistakes it for free. */
static void restore_contents_of_free_blocks(void)
{
    struct region r = region_of_units(4);
    char *blocks[4], before[4 * 16];

    for (size_t i = 0; i < 12; i++) {
        if (i >= 4) {
            free_block(&r, blocks[i % 4]);
            assert_blocks(&r,
                          "one of four blocks is freed; each holds what it held while it was free",
                          "used 1 1 1; free 1");
        }
        memcpy(before, r.base, sizeof before);
        blocks[i % 4] = alloc_units(&r, 1);
        memcpy(blocks[i % 4], before + (blocks[i % 4] - r.base), 16);
    }
}

TEST(live_blocks_keep_their_contents,
     "The allocator neither writes into a block in use, up to its rounded size, nor relies on its "
     "contents.")
{
    write_into_live_blocks();
    restore_contents_of_free_blocks();
}

/* Two allocators take turns, and one is restored from a copy: no state may lie in
 * static variables or in memory from malloc. */
TEST(all_state_is_in_metadata_and_free_blocks,
     "All state lies in the metadata and the free blocks: several allocators work independently, "
     "and a restored copy of both works.")
{
    struct region r = region_of_units(64), other = region_at(32 * 64, 64, 0);
    char *meta = malloc(r.meta_bytes), *base = malloc(r.len_bytes);
    char *p = alloc_units(&r, 4), *q = alloc_units(&other, 8);
    struct block_map before = map_read(&r);

    if (meta == NULL || base == NULL)
        testkit_broken("out of memory");
    memcpy(meta, r.meta, r.meta_bytes);
    memcpy(base, r.base, r.len_bytes);
    assert_blocks(&r, "one of two regions", "used 4; free 4 8 16 32");
    assert_blocks(&other, "the other of two regions", "used 8; free 8 16");

    free_block(&other, q);
    free_block(&r, p);
    alloc_units(&r, 32);
    alloc_units(&r, 1);
    assert_alloc_fails(&r, 32 * 16 - 1);
    memcpy(r.meta, meta, r.meta_bytes);
    memcpy(r.base, base, r.len_bytes);
    free(meta);
    free(base);
    assert_same_map(&r, &before, "restoring a copy of metadata and region");
    alloc_units(&r, 32);
    free_block(&r, p);
    alloc_units(&r, 4);
}
