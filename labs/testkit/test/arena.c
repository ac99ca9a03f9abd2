/* arena.c - memory that the test and its puppets see at one address.
 *
 * Each test has a new arena: a memfd, sealed so that no puppet can truncate it,
 * which each puppet maps when it starts.  Blocks are allocated from low to high
 * and never freed; each lies between red zones.
 */
#include "arena.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "control.h"
#include "failure.h"
#include "shared/wire.h"
#include "testkit.h"

enum { RED_ZONE_BYTES = 64, PAGE_BYTES = 4096, RED = 0xfd, UNSET = 0xa5 };
enum { MAX_ZEROS = 8 << 20 }; /* behind all blocks: a few huge pages */

#define ROUND_UP(n, to) (((n) + (to) - 1) / (to) * (to))

/* How long the contents of a block matter (overwrite.c). */
enum block_use { LASTS, INPUT, SPENT_INPUT, RESULT };

struct block { /* a piece of the arena */
    const char *name;
    size_t at, bytes;   /* offset from ARENA_ADDRESS */
    size_t front, back; /* widths of its red zones */
    enum block_use use;
    const void *owner; /* of an input: the puppet or script whose call it is for */
};

static struct {
    int fd;
    size_t used;
    struct block *blocks;
    size_t nblocks, max_blocks;
    size_t first_input; /* inputs before this one are spent */
    size_t first_new;   /* inputs from here on have no owner */
    bool has_traps;
} arena;

void arena_open(void)
{
    int fd = memfd_create("arena", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    void *at;

    if (fd < 0 || ftruncate(fd, ARENA_BYTES) < 0 ||
        fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) < 0)
        testkit_broken("cannot create the arena: %s", strerror(errno));
    at = mmap(ARENA_ADDRESS, ARENA_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED_NOREPLACE,
              fd, 0);
    if (at != ARENA_ADDRESS)
        testkit_broken("cannot map the arena at %p: %s", (void *)ARENA_ADDRESS, strerror(errno));
    arena.fd = fd;
    arena.used = 0;
    arena.nblocks = 0;
    arena.first_input = 0;
    arena.first_new = 0;
    arena.has_traps = false;
}

void arena_close(void)
{
    munmap(ARENA_ADDRESS, ARENA_BYTES);
    close(arena.fd);
}

int arena_fd(void)
{
    return arena.fd;
}

bool arena_has_traps(void)
{
    return arena.has_traps;
}

static struct block *new_block(void)
{
    if (arena.nblocks == arena.max_blocks) {
        arena.max_blocks = arena.max_blocks ? arena.max_blocks * 2 : 256;
        arena.blocks = realloc(arena.blocks, arena.max_blocks * sizeof *arena.blocks);
        if (!arena.blocks)
            testkit_broken("no memory for %zu blocks of arena", arena.max_blocks);
    }
    return &arena.blocks[arena.nblocks++];
}

/* Allocates `front` bytes of red zone, the block, and `back` bytes of red zone. */
static char *take(const char *name, size_t front, size_t bytes, size_t back)
{
    size_t at = arena.used + front;

    if (bytes > ARENA_BYTES || at + bytes + back > ARENA_BYTES)
        test_ran_out("the arena was full: %zu bytes for %s", bytes, name);
    *new_block() =
        (struct block){.name = name, .at = at, .bytes = bytes, .front = front, .back = back};
    arena.used = at + bytes + back;
    memset(ARENA_ADDRESS + at - front, RED, front);
    memset(ARENA_ADDRESS + at + bytes, RED, back);
    return ARENA_ADDRESS + at;
}

static char *take_aligned(const char *name, size_t bytes, size_t align, size_t misalign)
{
    size_t used = arena.used;
    size_t at = ROUND_UP(used + RED_ZONE_BYTES, align) + misalign;

    return take(name, at - used, bytes, RED_ZONE_BYTES);
}

void *arena_alloc_at(const char *name, size_t size_bytes, size_t align_bytes, size_t misalign_bytes)
{
    char *block = take_aligned(name, size_bytes, align_bytes, misalign_bytes);

    control_mark(MARK_DEFINED, block - ARENA_ADDRESS, size_bytes);
    return block;
}

void *arena_alloc(const char *name, size_t size_bytes)
{
    return arena_alloc_at(name, size_bytes, 16, 0);
}

static void set_use(enum block_use use) /* of the last block */
{
    arena.blocks[arena.nblocks - 1].use = use;
}

static char *undefined_at(const char *name, size_t size_bytes, size_t align_bytes,
                          size_t misalign_bytes)
{
    char *block = take_aligned(name, size_bytes, align_bytes, misalign_bytes);

    memset(block, UNSET, size_bytes);
    control_mark(MARK_UNDEFINED, block - ARENA_ADDRESS, size_bytes);
    return block;
}

void *arena_out(const char *name, size_t size_bytes)
{
    return arena_out_at(name, size_bytes, 16, 0);
}

void *arena_out_at(const char *name, size_t size_bytes, size_t align_bytes, size_t misalign_bytes)
{
    char *block = undefined_at(name, size_bytes, align_bytes, misalign_bytes);

    set_use(RESULT);
    return block;
}

void *arena_undefined(const char *name, size_t size_bytes)
{
    return undefined_at(name, size_bytes, 16, 0);
}

const void *arena_input(const char *name, const void *bytes, size_t size_bytes)
{
    void *block = arena_alloc(name, size_bytes);

    set_use(INPUT);
    return memcpy(block, bytes, size_bytes);
}

/* A block of which the first size_bytes lie in front of a trap page. */
static char *trap_block(const char *name, size_t size_bytes)
{
    size_t used = arena.used;
    size_t end = ROUND_UP(used + RED_ZONE_BYTES + size_bytes, PAGE_BYTES);
    char *block = take(name, end - size_bytes - used, size_bytes, 0);

    arena.used += PAGE_BYTES;
    control_mark(MARK_DEFINED, block - ARENA_ADDRESS, size_bytes);
    control_mark(MARK_TRAP, end, PAGE_BYTES);
    arena.has_traps = true;
    return block;
}

void *arena_trap(const char *name, size_t size_bytes)
{
    char *block = trap_block(name, size_bytes);

    set_use(RESULT);
    return memset(block, UNSET, size_bytes);
}

const void *arena_trap_input(const char *name, const void *bytes, size_t size_bytes,
                             size_t accessible_bytes)
{
    char *block = trap_block(name, accessible_bytes);

    if (size_bytes > accessible_bytes + PAGE_BYTES)
        testkit_broken("%s: only %d bytes lie on the trap page", name, PAGE_BYTES);
    set_use(INPUT);
    return memcpy(block, bytes, size_bytes);
}

const char *arena_string(const char *text)
{
    return arena_input("a string", text, strlen(text) + 1);
}

/* The array and, behind it, the strings. */
char *const *arena_argv(const char *const argv[])
{
    size_t n = 0, bytes = sizeof(char *);
    char **copy, *at;

    for (; argv[n]; n++)
        bytes += sizeof(char *) + strlen(argv[n]) + 1;
    copy = arena_alloc("argv", bytes);
    set_use(INPUT);
    at = (char *)(copy + n + 1);
    for (size_t i = 0; i < n; i++) {
        copy[i] = at;
        at = stpcpy(at, argv[i]) + 1;
    }
    return copy;
}

size_t arena_new_input_bytes(uint64_t address)
{
    for (size_t i = arena.first_new; i < arena.nblocks; i++)
        if (arena.blocks[i].use == INPUT &&
            address == (uintptr_t)ARENA_ADDRESS + arena.blocks[i].at)
            return arena.blocks[i].bytes;
    return 0;
}

void arena_claim_inputs(const void *owner)
{
    for (; arena.first_new < arena.nblocks; arena.first_new++)
        arena.blocks[arena.first_new].owner = owner;
}

static void overwrite(const struct block *block, int byte)
{
    memset(ARENA_ADDRESS + block->at, byte, block->bytes);
}

void arena_overwrite_inputs(const void *owner)
{
    for (size_t i = arena.first_input; i < arena.first_new; i++) {
        struct block *block = &arena.blocks[i];

        if (block->use == INPUT && block->owner == owner) {
            overwrite(block, ARENA_GARBAGE);
            block->use = SPENT_INPUT;
        }
        if (block->use != INPUT && i == arena.first_input)
            arena.first_input++;
    }
}

void arena_overwrite_results(void)
{
    for (size_t i = 0; i < arena.nblocks; i++)
        if (arena.blocks[i].use == RESULT)
            overwrite(&arena.blocks[i], UNSET);
}

static size_t spoiled(size_t at, size_t bytes)
{
    size_t n = 0;

    for (size_t i = 0; i < bytes; i++)
        n += (unsigned char)ARENA_ADDRESS[at + i] != RED;
    return n;
}

static void check_red_zones(void)
{
    for (size_t i = 0; i < arena.nblocks; i++) {
        const struct block *block = &arena.blocks[i];
        size_t before = spoiled(block->at - block->front, block->front);
        size_t after = spoiled(block->at + block->bytes, block->back);

        if (before)
            test_fail("wrote in front of %s: %zu bytes", block->name, before);
        if (after)
            test_fail("wrote past the end of %s (%zu bytes long): %zu bytes", block->name,
                      block->bytes, after);
    }
}

static bool is_zero(const char *bytes, size_t size_bytes)
{
    return size_bytes == 0 || (*bytes == 0 && memcmp(bytes, bytes + 1, size_bytes - 1) == 0);
}

/* A page that was never used has no memory yet, so this is one system call.
 * (One that was only read, or belongs to a huge page, has, and holds zeros.) */
void arena_check_unused(void)
{
    off_t at = lseek(arena.fd, (off_t)ROUND_UP(arena.used, PAGE_BYTES), SEEK_DATA);
    off_t end = at < 0 ? at : lseek(arena.fd, at, SEEK_HOLE);

    if (at < 0 || (end - at <= MAX_ZEROS && is_zero(ARENA_ADDRESS + at, (size_t)(end - at))))
        return;
    check_red_zones(); /* they tell more */
    test_fail("wrote to memory of the test that no call had passed to it");
}

void arena_check(void)
{
    check_red_zones();
    arena_check_unused();
}

void arena_describe(uint64_t word, char *text, size_t size)
{
    uint64_t at = word - (uintptr_t)ARENA_ADDRESS;

    for (size_t i = 0; i < arena.nblocks; i++) {
        const struct block *block = &arena.blocks[i];

        if (at >= ARENA_BYTES || at + RED_ZONE_BYTES < block->at || at > block->at + block->bytes)
            continue;
        if (at == block->at)
            snprintf(text, size, "%s", block->name);
        else if (at < block->at)
            snprintf(text, size, "%s-%#llx", block->name, (unsigned long long)(block->at - at));
        else
            snprintf(text, size, "%s+%#llx", block->name, (unsigned long long)(at - block->at));
        return;
    }
    if ((word & SCRIPT_VALUE_MASK) == SCRIPT_VALUE_TAG)
        snprintf(text, size, "<value of call %llu>",
                 (unsigned long long)(word & ~SCRIPT_VALUE_MASK));
    else if ((int64_t)word < 0 && (int64_t)word > -4096)
        snprintf(text, size, "%lld", (long long)word);
    else if (word >> 32 == 0 && (int32_t)word < 0 && (int32_t)word > -4096)
        snprintf(text, size, "%d", (int32_t)word); /* an int: the upper half has no meaning */
    else if (word < (uint64_t)1 << 32)
        snprintf(text, size, "%llu", (unsigned long long)word);
    else
        snprintf(text, size, "%#llx", (unsigned long long)word);
}
