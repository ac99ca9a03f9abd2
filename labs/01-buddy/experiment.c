/* experiment.c - three experiments with your allocator; not graded.
 *
 *     gcc -O2 -o build/experiment experiment.c buddy.c
 *     build/experiment internal|external|speed
 *
 * Unlike the tests, this program links buddy.c and calls it directly.
 */
#include "buddy.h"

#include <err.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { MIN_BLOCK_BYTES = 16 };

static struct buddy *new_region(size_t len_bytes)
{
    size_t meta_bytes = buddy_sizeof(len_bytes, MIN_BLOCK_BYTES);
    void *meta = malloc(meta_bytes), *base = aligned_alloc(4096, len_bytes);
    struct buddy *b;

    if (meta == NULL || base == NULL)
        errx(1, "no memory for a region of %zu bytes", len_bytes);
    memset(base, 0, len_bytes); /* touch every page before anything is timed */
    b = buddy_init(meta, base, len_bytes, MIN_BLOCK_BYTES);
    if (b == NULL)
        err(1, "buddy_init");
    return b;
}

static void exit_without_block(size_t size_bytes)
{
    errx(1, "cannot allocate %zu bytes in a new region: nothing to measure yet", size_bytes);
}

static uint64_t next_random(void)
{
    static uint64_t x = 88172645463325252u;

    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return x;
}

/* ---- internal fragmentation: allocated, but not requested ---- */

static size_t used_bytes(const struct buddy *b)
{
    size_t n = buddy_blocks(b, NULL, 0), total = 0;
    struct buddy_block *blocks = malloc(n * sizeof *blocks);

    if (blocks == NULL)
        err(1, "malloc");
    buddy_blocks(b, blocks, n);
    for (size_t i = 0; i < n; i++)
        if (blocks[i].used)
            total += blocks[i].size_bytes;
    free(blocks);
    return total;
}

/* Fills a region with blocks of random sizes, uniform from smallest to largest. */
static void fill(size_t smallest, size_t largest)
{
    enum { LEN_BYTES = 16 << 20 };
    struct buddy *b = new_region(LEN_BYTES);
    size_t requested_bytes = 0, size_bytes;

    for (;;) {
        size_bytes = smallest + next_random() % (largest - smallest + 1);
        if (buddy_alloc(b, size_bytes) == NULL)
            break;
        requested_bytes += size_bytes;
        if (requested_bytes > LEN_BYTES)
            errx(1, "the allocator returned more than the region holds: run the tests first");
    }
    if (requested_bytes == 0)
        exit_without_block(size_bytes);
    printf("%5zu to %5zu bytes: requested %9zu, allocated %9zu bytes: %5.1f %% of it is wasted\n",
           smallest, largest, requested_bytes, used_bytes(b),
           100.0 - 100.0 * (double)requested_bytes / (double)used_bytes(b));
}

static void internal(void)
{
    fill(1024, 1024);
    fill(1025, 1025);
    fill(1, 1024);
    fill(1, 1500);
    fill(513, 1024);
}

/* ---- external fragmentation: free, but not in one block ---- */

static size_t largest_allocation(struct buddy *b, size_t limit_bytes)
{
    for (size_t size_bytes = limit_bytes; size_bytes > 0; size_bytes /= 2) {
        void *block = buddy_alloc(b, size_bytes);

        if (block != NULL) {
            buddy_free(b, block);
            return size_bytes;
        }
    }
    return 0;
}

/* Fills the region with blocks of 64 bytes, then frees all but every n-th of
 * them, in the order of their addresses. */
static void keep_every(size_t n)
{
    enum { LEN_BYTES = 1 << 20, BLOCKS = LEN_BYTES / 64 };
    struct buddy *b = new_region(LEN_BYTES);
    static char *blocks[BLOCKS];
    size_t free_bytes = 0;
    char *base = NULL;

    for (size_t i = 0; i < BLOCKS; i++) {
        blocks[i] = buddy_alloc(b, 64);
        if (blocks[i] != NULL && (base == NULL || blocks[i] < base))
            base = blocks[i];
    }
    if (base == NULL)
        exit_without_block(64);
    for (size_t i = 0; i < BLOCKS; i++)
        if (blocks[i] != NULL && (size_t)(blocks[i] - base) / 64 % n != 0) {
            buddy_free(b, blocks[i]);
            free_bytes += 64;
        }
    printf("one block of 64 bytes in %5zu stays in use: %7zu bytes are free, the largest block has "
           "%7zu\n",
           n, free_bytes, largest_allocation(b, LEN_BYTES));
}

static void external(void)
{
    keep_every(2);
    keep_every(3);
    keep_every(16);
    keep_every(1024);
    keep_every(16384);
}

/* ---- speed: the time of a pair of calls, compared with malloc ---- */

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* Allocates and frees one block of 16 bytes in an empty region: the most splits
 * and the most coalescing.  Returns the best of several rounds, because other
 * programs run, too. */
static double ping_pong_ns(struct buddy *b)
{
    enum { ROUNDS = 20, PAIRS = 5000 };
    double best = 1e9;

    for (int round = 0; round < ROUNDS; round++) {
        double start = seconds(), ns;

        for (int i = 0; i < PAIRS; i++) {
            void *volatile block = b != NULL ? buddy_alloc(b, 16) : malloc(16);

            if (block == NULL)
                exit_without_block(16);
            if (b != NULL)
                buddy_free(b, block);
            else
                free(block);
        }
        ns = (seconds() - start) / PAIRS * 1e9;
        if (ns < best)
            best = ns;
    }
    return best;
}

static void speed(void)
{
    for (size_t len_bytes = 1024; len_bytes <= (size_t)64 << 20; len_bytes *= 16)
        printf("region of %8zu bytes: buddy_alloc and buddy_free take %6.1f ns\n", len_bytes,
               ping_pong_ns(new_region(len_bytes)));
    printf("                           malloc and free take %6.1f ns\n", ping_pong_ns(NULL));
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "internal") == 0)
        internal();
    else if (argc == 2 && strcmp(argv[1], "external") == 0)
        external();
    else if (argc == 2 && strcmp(argv[1], "speed") == 0)
        speed();
    else
        errx(2, "usage: experiment internal|external|speed");
    return 0;
}
