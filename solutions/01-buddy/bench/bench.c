/* bench.c - speed of buddy allocators side by side, and of malloc.
 *
 *     bench NAME=path.so ...      ratios refer to the first one
 *
 * All run in one process, interleaved, on one CPU, in the same region of 64 MiB
 * (min_block_bytes 16), with the same sequence of calls, generated beforehand.
 * Each number is the median of all rounds, in ns of CPU time per call.  Nothing
 * here is graded.
 *
 *   A          13 sizes from 16 B to 64 KiB, half full, random alloc and free
 *   B          the same with 16 to 256 B
 *   ping-pong  alloc(16) and free in an empty region
 *   fill       2^20 blocks of 64 B
 *   free       the same, freed in random order
 */
#define _GNU_SOURCE
#include "buddy.h"

#include <dlfcn.h>
#include <err.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { MAX_ALLOCATORS = 16, ROUNDS = 5, NPINGPONG = 1000000, NFILL = 1 << 20, NMIXED = 2000000 };
enum workload { MIXED_A, MIXED_B, PINGPONG, FILL, RANDOM_FREE, WORKLOADS };

static const size_t LEN_BYTES = (size_t)64 << 20;
static const size_t MIN_BLOCK_BYTES = 16;

struct allocator {
    const char *name;
    size_t (*size_of)(size_t, size_t);
    struct buddy *(*init)(void *, void *, size_t, size_t);
    void *(*alloc)(struct buddy *, size_t);
    int (*free)(struct buddy *, void *);
    void *meta;
    struct buddy *b;
    double ns[WORKLOADS][ROUNDS];
    size_t failed; /* allocations, in all rounds */
};

/* One call: size_bytes 0 frees the block in the slot. */
struct op {
    uint32_t slot;
    uint32_t size_bytes;
};

struct sequence {
    struct op *ops;
    size_t nprepare; /* not timed: fills one half of the region */
    size_t nops;
    size_t nslots;
};

static void *base;
static void **slots;

static uint64_t next_random(void)
{
    static uint64_t x = 88172645463325252u;

    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    return x;
}

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t); /* not the time of other programs */
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void *allocate(size_t size_bytes)
{
    void *p = malloc(size_bytes);

    if (p == NULL)
        err(1, "malloc");
    return p;
}

/* ---- the calls of A and B ---- */

static size_t rounded(size_t size_bytes)
{
    size_t block = MIN_BLOCK_BYTES;

    while (block < size_bytes)
        block *= 2;
    return block;
}

static uint32_t random_size(unsigned nclasses)
{
    unsigned class = (unsigned)(next_random() % nclasses);
    uint32_t largest = 16u << class, above = class == 0 ? 0 : largest / 2;

    return above + 1 + (uint32_t)(next_random() % (largest - above));
}

static struct sequence make_sequence(unsigned nclasses)
{
    size_t max_live = LEN_BYTES / MIN_BLOCK_BYTES, nlive = 0, nempty = 0, live_bytes = 0;
    uint32_t *live = allocate(max_live * sizeof *live);
    uint32_t *empty = allocate(max_live * sizeof *empty);
    uint32_t *sizes = allocate(max_live * sizeof *sizes);
    struct sequence s = {.ops = allocate((max_live + NMIXED) * sizeof *s.ops)};
    bool prepared = false;

    while (s.nops < s.nprepare + NMIXED) {
        bool take = !prepared || live_bytes < LEN_BYTES / 100 * 48 ||
                    (live_bytes < LEN_BYTES / 100 * 52 && next_random() % 2);

        if (take) {
            uint32_t slot = nempty > 0 ? empty[--nempty] : (uint32_t)s.nslots++;

            sizes[slot] = random_size(nclasses);
            live[nlive++] = slot;
            live_bytes += rounded(sizes[slot]);
            s.ops[s.nops++] = (struct op){slot, sizes[slot]};
        } else {
            size_t victim = next_random() % nlive;
            uint32_t slot = live[victim];

            live[victim] = live[--nlive];
            empty[nempty++] = slot;
            live_bytes -= rounded(sizes[slot]);
            s.ops[s.nops++] = (struct op){slot, 0};
        }
        if (!prepared && live_bytes >= LEN_BYTES / 2) {
            prepared = true;
            s.nprepare = s.nops;
        }
    }
    free(live);
    free(empty);
    free(sizes);
    return s;
}

/* ---- running ---- */

static void perform(struct allocator *a, const struct op *ops, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (ops[i].size_bytes == 0) {
            a->free(a->b, slots[ops[i].slot]);
        } else {
            slots[ops[i].slot] = a->alloc(a->b, ops[i].size_bytes);
            a->failed += slots[ops[i].slot] == NULL;
        }
    }
}

static void start(struct allocator *a)
{
    a->b = a->init(a->meta, base, LEN_BYTES, MIN_BLOCK_BYTES);
    if (a->b == NULL)
        errx(1, "%s: buddy_init failed", a->name);
}

/* malloc has no region that could be initialised again: free every block. */
static void free_all(struct allocator *a, size_t nslots)
{
    for (size_t i = 0; i < nslots; i++)
        a->free(a->b, slots[i]);
}

static double run_mixed(struct allocator *a, const struct sequence *s)
{
    memset(slots, 0, s->nslots * sizeof *slots);
    start(a);
    perform(a, s->ops, s->nprepare);

    uint64_t before_ns = now_ns();
    perform(a, s->ops + s->nprepare, s->nops - s->nprepare);
    double ns = (double)(now_ns() - before_ns) / NMIXED;

    if (a->meta == NULL) {
        bool *live = calloc(s->nslots, sizeof *live);

        if (live == NULL)
            err(1, "calloc");
        for (size_t i = 0; i < s->nops; i++)
            live[s->ops[i].slot] = s->ops[i].size_bytes != 0;
        for (size_t i = 0; i < s->nslots; i++)
            if (!live[i])
                slots[i] = NULL;
        free(live);
        free_all(a, s->nslots);
    }
    return ns;
}

static double run_pingpong(struct allocator *a)
{
    start(a);
    uint64_t before_ns = now_ns();
    for (size_t i = 0; i < NPINGPONG; i++)
        a->free(a->b, a->alloc(a->b, 16));
    return (double)(now_ns() - before_ns) / (2 * NPINGPONG);
}

static void run_fill_and_free(struct allocator *a, const uint32_t *order, double *fill,
                              double *free_)
{
    start(a);
    uint64_t before_ns = now_ns();
    for (size_t i = 0; i < NFILL; i++)
        slots[i] = a->alloc(a->b, 64);
    uint64_t filled_ns = now_ns();
    for (size_t i = 0; i < NFILL; i++)
        a->free(a->b, slots[order[i]]);
    uint64_t freed_ns = now_ns();

    *fill = (double)(filled_ns - before_ns) / NFILL;
    *free_ = (double)(freed_ns - filled_ns) / NFILL;
}

static uint32_t *random_order(void)
{
    uint32_t *order = allocate(NFILL * sizeof *order);

    for (uint32_t i = 0; i < NFILL; i++) {
        uint32_t j = (uint32_t)(next_random() % (i + 1));

        order[i] = order[j];
        order[j] = i;
    }
    return order;
}

/* ---- allocators ---- */

static struct buddy *malloc_init(void *meta, void *region, size_t len_bytes, size_t min_block_bytes)
{
    (void)meta, (void)len_bytes, (void)min_block_bytes;
    return region;
}

static void *malloc_alloc(struct buddy *b, size_t size_bytes)
{
    (void)b;
    return malloc(size_bytes);
}

static int malloc_free(struct buddy *b, void *block)
{
    (void)b;
    free(block);
    return 0;
}

static void *symbol(void *library, const char *name)
{
    void *address = dlsym(library, name);

    if (address == NULL)
        errx(1, "%s", dlerror());
    return address;
}

/* NAME=path.so */
static struct allocator load(char *argument)
{
    char *path = strchr(argument, '=');

    if (path == NULL)
        errx(2, "not NAME=path.so: %s", argument);
    *path++ = '\0';

    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL)
        errx(1, "%s", dlerror());

    struct allocator a = {.name = argument};
    *(void **)&a.size_of = symbol(library, "buddy_sizeof");
    *(void **)&a.init = symbol(library, "buddy_init");
    *(void **)&a.alloc = symbol(library, "buddy_alloc");
    *(void **)&a.free = symbol(library, "buddy_free");
    a.meta = aligned_alloc(64, (a.size_of(LEN_BYTES, MIN_BLOCK_BYTES) + 63) / 64 * 64);
    if (a.meta == NULL)
        err(1, "aligned_alloc");
    memset(a.meta, 0xa5, a.size_of(LEN_BYTES, MIN_BLOCK_BYTES));
    return a;
}

/* ---- the table ---- */

static int compare(const void *x, const void *y)
{
    double a = *(const double *)x, b = *(const double *)y;

    return (a > b) - (a < b);
}

static double median(double *values)
{
    qsort(values, ROUNDS, sizeof *values, compare);
    return values[ROUNDS / 2];
}

static void print_table(struct allocator *all, size_t n)
{
    static const char *const titles[WORKLOADS] = {"A", "B", "ping-pong", "fill", "free"};
    double first[WORKLOADS];

    printf("%-24s", "ns per call (ratio)");
    for (size_t w = 0; w < WORKLOADS; w++)
        printf("%16s", titles[w]);
    printf("  %% of 64 MiB, at 64 B  failed\n");
    for (size_t i = 0; i < n; i++) {
        printf("%-24s", all[i].name);
        for (size_t w = 0; w < WORKLOADS; w++) {
            double ns = median(all[i].ns[w]);

            if (i == 0)
                first[w] = ns;
            printf("%8.1f (%5.2f)", ns, first[w] / ns);
        }
        if (all[i].size_of != NULL)
            printf("%9.2f %% %9.2f %%",
                   100.0 * (double)all[i].size_of(LEN_BYTES, MIN_BLOCK_BYTES) / (double)LEN_BYTES,
                   100.0 * (double)all[i].size_of(LEN_BYTES, 64) / (double)LEN_BYTES);
        else
            printf("%11s %11s", "", "");
        printf(" %7zu\n", all[i].failed);
    }
    printf("ratio: time of %s divided by the time of this row; under 1, %s is faster\n",
           all[0].name, all[0].name);
}

static void pin_to_one_cpu(void)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(sched_getcpu(), &set);
    if (sched_setaffinity(0, sizeof set, &set) != 0)
        err(1, "sched_setaffinity");
}

int main(int argc, char **argv)
{
    struct allocator all[MAX_ALLOCATORS] = {{.name = NULL}};
    size_t n = 0;

    if (argc < 2 || argc > MAX_ALLOCATORS)
        errx(2, "usage: bench NAME=path.so ...");
    for (int i = 1; i < argc; i++)
        all[n++] = load(argv[i]);
    all[n++] = (struct allocator){
        .name = "malloc", .init = malloc_init, .alloc = malloc_alloc, .free = malloc_free};

    pin_to_one_cpu();
    base = mmap(NULL, LEN_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED)
        err(1, "mmap");
    memset(base, 0xa5, LEN_BYTES);

    struct sequence a = make_sequence(13), b = make_sequence(5);
    uint32_t *order = random_order();
    size_t nslots = a.nslots > b.nslots ? a.nslots : b.nslots;
    slots = allocate((nslots > NFILL ? nslots : NFILL) * sizeof *slots);

    for (size_t round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < n; i++) {
            if (isatty(STDERR_FILENO))
                fprintf(stderr, "\rround %zu of %d, %-24s\r", round + 1, ROUNDS, all[i].name);
            all[i].ns[MIXED_A][round] = run_mixed(&all[i], &a);
            all[i].ns[MIXED_B][round] = run_mixed(&all[i], &b);
            all[i].ns[PINGPONG][round] = run_pingpong(&all[i]);
            run_fill_and_free(&all[i], order, &all[i].ns[FILL][round],
                              &all[i].ns[RANDOM_FREE][round]);
        }
    }
    print_table(all, n);
    return 0;
}
