/* test_hidden_init.c - buddy_sizeof(), buddy_init() and buddy_blocks(). */
#include "test_hidden.h"

/* Memory that a failed buddy_init() must not write to; every byte holds FILL. */
enum { META_BYTES = 65536, BASE_BYTES = 1024, FILL = 0x5a };

static void assert_init_fails(char *meta, char *base, size_t len_bytes, size_t min_block_bytes,
                              const char *why)
{
    if (buddy_init(meta, base, len_bytes, min_block_bytes) != NULL || errno != EINVAL)
        fail_msg("buddy_init(meta, base, %zu, %zu), where %s: expected NULL (EINVAL)", len_bytes,
                 min_block_bytes, why);
    if (meta != NULL && !all_bytes_are(meta, FILL, META_BYTES))
        fail_msg("buddy_init(meta, base, %zu, %zu), where %s, failed and wrote into meta: expected "
                 "no change",
                 len_bytes, min_block_bytes, why);
}

TEST(init_rejects_invalid_arguments,
     "Every invalid argument that buddy.h lists makes buddy_sizeof() and buddy_init() fail with "
     "EINVAL, and buddy_init() then writes nothing.")
{
    static const struct {
        size_t len_bytes, min_block_bytes;
    } invalid[] = {{1024, 0},
                   {1024, 8},
                   {1024, 24},
                   {1024, 48},
                   {0, 16},
                   {15, 16},
                   {63, 64},
                   {1024, ((size_t)1 << 32) + 16},
                   {1024, (size_t)1 << 63}};
    char *meta = memset(arena_alloc("meta", META_BYTES), FILL, META_BYTES);
    char *base = memset(arena_alloc_at("base", BASE_BYTES, 4096, 0), FILL, BASE_BYTES);

    for (size_t i = 0; i < sizeof invalid / sizeof *invalid; i++) {
        size_t len = invalid[i].len_bytes, min = invalid[i].min_block_bytes;
        size_t size = buddy_sizeof(len, min);

        if (size != 0 || errno != EINVAL)
            fail_msg("buddy_sizeof(%zu, %zu) returned %zu (%s): expected 0 (EINVAL)", len, min,
                     size, error_name(errno));
        assert_init_fails(meta, base, len, min, "base and meta are valid");
    }
    assert_init_fails(NULL, base, 1024, 16, "meta is NULL");
    assert_init_fails(meta, NULL, 1024, 16, "base is NULL");
    assert_init_fails(meta, base + 8, 1000, 16, "base is 8 past a multiple of 16");
    assert_init_fails(meta, base + 32, 512, 64, "base is 32 past a multiple of 64");
    if (!all_bytes_are(base, FILL, BASE_BYTES))
        fail_msg("buddy_init() failed and wrote into the region: expected no change");
}

/* Makes an allocator in memory that holds anything, uses it, and replaces it by another. */
static void use_and_replace(char *meta, size_t nunits)
{
    struct region r = {.meta = meta,
                       .base = arena_undefined("base", nunits * 16),
                       .out = arena_out("out", (nunits + 1) * sizeof *r.out),
                       .len_bytes = nunits * 16,
                       .unit_bytes = 16,
                       .nunits = nunits};
    char *block;

    r.b = buddy_init(meta, r.base, r.len_bytes, 16);
    if (r.b == NULL)
        fail_msg("buddy_init() with uninitialised metadata returned NULL: expected an allocator");
    assert_blocks(&r, "after buddy_init() with uninitialised metadata", "used; free 64");
    alloc_units(&r, 1);
    alloc_units(&r, 16);
    assert_blocks(&r, "after two allocations", "used 1 16; free 1 2 4 8 32");
    for (int i = 0; i < 1 + 2 + 4 + 8 + 32; i++)
        alloc_units(&r, 1);

    r.b = buddy_init(meta, r.base, r.len_bytes, 16);
    if (r.b == NULL)
        fail_msg("buddy_init() over an earlier allocator returned NULL: expected a new one");
    assert_blocks(&r, "after buddy_init() over an earlier allocator", "used; free 64");
    alloc_units(&r, 32);
    block = alloc_units(&r, 32);
    for (int i = 1; i < 32; i++)
        assert_free_fails(&r, block + i * 16, "a block of the earlier allocator");
}

TEST(init_accepts_uninitialised_metadata,
     "The contents of the metadata and the region before buddy_init(), for example an earlier "
     "allocator, do not matter.")
{
    static const int fills[] = {0xff, 0xa5, 0x01, 0x40, 0x80, 0x7f};
    size_t size = buddy_sizeof(64 * 16, 16);

    assert_in_range(size, 1, 65536);
    use_and_replace(arena_undefined("meta", size), 64);
    for (size_t i = 0; i < sizeof fills / sizeof *fills; i++)
        use_and_replace(memset(arena_alloc("meta", size), fills[i], size), 64);
}

static void assert_seven_blocks(const struct region *r, struct buddy_block *out, size_t max)
{
    size_t n = buddy_blocks(r->b, out, max);

    if (n != 7)
        fail_msg("buddy_blocks(b, %s, %zu) returned %zu: expected 7", out ? "out" : "NULL", max, n);
}

/* The largest number of blocks that the region allows; map_read() fails unless
 * they fill it. */
static void read_map_of_many_blocks(void)
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
     "A call to buddy_blocks() writes at most max entries, with used 1 or 0, and returns the "
     "number of all blocks.")
{
    struct region r = region_of_units(64);
    struct block_map all;

    alloc_units(&r, 1);
    all = map_read(&r);
    if (all.nblocks != 7)
        fail_msg("1 of 64 units is in use: expected 7 blocks, 1 1 2 4 8 16 32, but buddy_blocks() "
                 "shows %s",
                 map_picture(&r, &all));
    assert_seven_blocks(&r, NULL, 0);
    for (size_t max = 0; max <= 8; max++) {
        struct buddy_block *out = arena_out("out", max * sizeof *out);
        struct buddy_block copy[8];

        assert_seven_blocks(&r, out, max);
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
    read_map_of_many_blocks();
}

/* Allocates and frees every smallest block, so that all metadata is used. */
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
            fail_msg("buddy_alloc(b, 60) returned NULL for block %zu of %d", i, NBLOCKS);
        if ((int)script_result(s, NBLOCKS + i) != 0)
            fail_msg("buddy_free() of block %zu of %d failed", i, NBLOCKS);
    }
}

TEST(metadata_is_small,
     "With min_block_bytes 64 the metadata takes at most 1.6 % of any region plus 1 KiB, and "
     "nothing is written past its end.")
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
            fail_msg("buddy_sizeof(%zu, 64) returned %zu: expected 1.6 %% and 1 KiB at most, %zu",
                     len, size, limit);
        /* Blocks in use can divide the region in more than 2^(units / 2) ways,
         * and only the metadata can tell which. */
        if (size < len / 64 / 16)
            fail_msg("buddy_sizeof(%zu, 64) returned %zu: too little to describe %zu units", len,
                     size, len / 64);
    }
    use_all_metadata();
}
