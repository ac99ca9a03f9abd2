/* test_hidden_random.c - random calls against a model, and the search for the
 * shortest sequence of calls on which both disagree.
 *
 * The model has one byte for each unit, 1 if it is in use, and the size of each
 * block in use at its first unit.  It follows the placement that the solution
 * chooses and checks that the contract allows it.  Free blocks are not stored
 * but computed: the largest aligned runs of free units.
 */
#include "test_hidden.h"

enum {
    SEQUENCES = 100,
    OPS = 1000,
    NSLOTS = 24,
    MODEL_UNITS = 100,
    MAP_ENTRIES = MODEL_UNITS + 1, /* one more than there can be blocks */
    MODEL_META_BYTES = 1 << 20,
    MODEL_MEMORY_BYTES = 64 * 64 + MODEL_UNITS * 64 + 64
};

struct op {
    bool free;
    unsigned slot;     /* free: buddy_free() of the last block allocated into it */
    size_t size_bytes; /* not free: buddy_alloc() into it */
};

struct setup {
    size_t len_bytes, min_block_bytes, misalign_bytes, nunits;
    bool map_after_each; /* buddy_blocks() after each call, not only after the last one */
};

/* In the arena, reused by every run. */
struct workspace {
    char *meta, *memory;
    struct buddy_block *maps; /* MAP_ENTRIES for each op */
    struct script *script;
};

/* Where solution and model disagree. */
struct mismatch {
    size_t op; /* index of the call */
    char returned[80];
    char expected[8192];
};

/* Notes what was expected; returns false. */
__attribute__((format(printf, 2, 3))) static bool disagree(struct mismatch *mismatch,
                                                           const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(mismatch->expected, sizeof mismatch->expected, format, arguments);
    va_end(arguments);
    return false;
}

/* ---- the model --------------------------------------------------------------------- */

struct model {
    const struct setup *setup;
    uint8_t used[MODEL_UNITS];
    size_t starts[MODEL_UNITS]; /* units of the block in use that starts here, or 0 */
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

/* The size in units of the free block that contains a free unit. */
static size_t free_block_around(const struct model *m, size_t unit)
{
    size_t nunits = 1;

    while (all_free(m, unit / (2 * nunits) * (2 * nunits), 2 * nunits))
        nunits *= 2;
    return nunits;
}

/* The size of the smallest free block of at least wanted_units; 0 if there is none. */
static size_t best_fit(const struct model *m, size_t wanted_units)
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

/* ---- each call against the model: true if both agree --------------------------------- */

static bool check_null(const struct model *m, size_t size_bytes, size_t fits, int error,
                       struct mismatch *mismatch)
{
    if (size_bytes == 0)
        return error == EINVAL || disagree(mismatch, "expected NULL (EINVAL)");
    if (fits == 0)
        return error == ENOMEM || disagree(mismatch, "expected NULL (ENOMEM)");
    return disagree(mismatch, "expected a block: one of %zu bytes is free",
                    fits * m->setup->min_block_bytes);
}

/* And marks the block as in use. */
static bool check_block(struct model *m, uintptr_t offset_bytes, size_t wanted, size_t fits,
                        struct mismatch *mismatch)
{
    size_t unit_bytes = m->setup->min_block_bytes, unit = offset_bytes / unit_bytes, around;

    if (fits == 0)
        return disagree(mismatch, "expected NULL: no free block has %zu bytes",
                        wanted * unit_bytes);
    if (offset_bytes % (wanted * unit_bytes) != 0 || unit >= m->setup->nunits ||
        !all_free(m, unit, wanted))
        return disagree(mismatch,
                        "expected %zu free bytes inside the region, at a multiple of that size",
                        wanted * unit_bytes);
    around = free_block_around(m, unit);
    if (around != fits)
        return disagree(mismatch,
                        "this splits a block of %zu bytes: expected the free one of %zu bytes",
                        around * unit_bytes, fits * unit_bytes);
    memset(m->used + unit, 1, wanted);
    m->starts[unit] = wanted;
    return true;
}

static bool check_alloc(struct model *m, size_t size_bytes, uint64_t result, const char *base,
                        int error, struct mismatch *mismatch)
{
    size_t wanted = 1, fits;

    while (wanted * m->setup->min_block_bytes < size_bytes && wanted <= m->setup->nunits)
        wanted *= 2;
    fits = best_fit(m, wanted);
    if (result == 0)
        return check_null(m, size_bytes, fits, error, mismatch);
    if (size_bytes == 0)
        return disagree(mismatch, "expected NULL (EINVAL)");
    return check_block(m, result - (uintptr_t)base, wanted, fits, mismatch);
}

static bool check_free(struct model *m, uint64_t block, const char *base, int result, int error,
                       struct mismatch *mismatch)
{
    size_t unit = (block - (uintptr_t)base) / m->setup->min_block_bytes;
    bool null = block == 0;
    bool valid = null || (unit < m->setup->nunits && m->starts[unit] != 0);

    if (valid && result != 0)
        return disagree(mismatch, "expected 0");
    if (!valid && (result != -1 || error != EINVAL))
        return disagree(mismatch, "expected -1 (EINVAL): this is a double free");
    if (valid && !null) {
        memset(m->used + unit, 0, m->starts[unit]);
        m->starts[unit] = 0;
    }
    return true;
}

static bool same_blocks(const struct block_map *a, const struct block_map *b)
{
    if (a->nblocks != b->nblocks)
        return false;
    for (size_t i = 0; i < a->nblocks; i++)
        if (a->blocks[i].offset_bytes != b->blocks[i].offset_bytes ||
            a->blocks[i].size_bytes != b->blocks[i].size_bytes ||
            a->blocks[i].used != b->blocks[i].used)
            return false;
    return true;
}

static bool check_map(const struct model *m, const struct buddy_block *shown, size_t n,
                      struct mismatch *mismatch)
{
    struct region r = {.unit_bytes = m->setup->min_block_bytes, .nunits = m->setup->nunits};
    struct block_map actual = {.nblocks = 0}, expected;
    char text[2048];

    expected.nblocks = model_map(m, expected.blocks);
    if (n >= 1 && n <= m->setup->nunits) {
        actual.nblocks = n;
        memcpy(actual.blocks, shown, n * sizeof *shown);
    }
    for (size_t i = 0; i < actual.nblocks; i++)
        actual.blocks[i].used = actual.blocks[i].used != 0;
    if (same_blocks(&actual, &expected))
        return true;
    snprintf(text, sizeof text, "%s", map_picture(&r, &expected));
    return disagree(mismatch,
                    "expected the blocks (in units of %zu)\n    %s, but buddy_blocks() shows\n"
                    "    %s",
                    r.unit_bytes, text, map_picture(&r, &actual));
}

static void describe_result(const struct op *op, uint64_t result, const char *base, int error,
                            struct mismatch *mismatch)
{
    char *text = mismatch->returned;
    size_t size = sizeof mismatch->returned;

    text[0] = '\0';
    if (op->free)
        text_add(text, size, "%d", (int)result);
    else if (result != 0)
        text_add(text, size, "base%+td", (ptrdiff_t)(result - (uintptr_t)base));
    else
        text_add(text, size, "NULL");
    if (op->free ? (int)result != 0 : result == 0)
        text_add(text, size, " (%s)", error_name(error));
}

/* ---- running a sequence --------------------------------------------------------------- */

/* Where in the script the calls of a sequence are. */
struct recording {
    size_t size_of, init, calls[OPS];
};

static char *base_of(const struct workspace *w, const struct setup *setup)
{
    return w->memory + setup->misalign_bytes;
}

static void record(const struct workspace *w, const struct setup *setup, const struct op *ops,
                   size_t n, struct recording *rec)
{
    size_t last[NSLOTS]; /* the op that allocated into a slot last; OPS if none did */
    struct buddy *b;

    script_clear(w->script);
    rec->size_of = RECORD(w->script, buddy_sizeof(setup->len_bytes, setup->min_block_bytes));
    rec->init = RECORD(w->script, buddy_init(w->meta, base_of(w, setup), setup->len_bytes,
                                             setup->min_block_bytes));
    b = script_value(w->script, rec->init);
    for (size_t k = 0; k < NSLOTS; k++)
        last[k] = OPS;
    for (size_t i = 0; i < n; i++) {
        size_t owner = last[ops[i].slot];

        if (ops[i].free) {
            void *block = owner == OPS ? NULL : script_value(w->script, rec->calls[owner]);

            rec->calls[i] = RECORD(w->script, buddy_free(b, block));
        } else {
            rec->calls[i] = RECORD(w->script, buddy_alloc(b, ops[i].size_bytes));
            last[ops[i].slot] = i;
        }
        if (setup->map_after_each || i + 1 == n)
            RECORD(w->script, buddy_blocks(b, w->maps + i * MAP_ENTRIES, MAP_ENTRIES));
    }
}

/* Compares the call mismatch->op; values are the addresses in the slots. */
static bool check_op(const struct workspace *w, struct model *m, const struct op *op,
                     const struct recording *rec, bool with_map, uint64_t *values,
                     struct mismatch *mismatch)
{
    const char *base = base_of(w, m->setup);
    size_t call = rec->calls[mismatch->op];
    uint64_t result = script_result(w->script, call);
    int error = script_errno(w->script, call);
    bool agree;

    describe_result(op, result, base, error, mismatch);
    if (op->free) {
        agree = check_free(m, values[op->slot], base, (int)result, error, mismatch);
    } else {
        values[op->slot] = result;
        agree = check_alloc(m, op->size_bytes, result, base, error, mismatch);
    }
    if (agree && with_map)
        agree = check_map(m, w->maps + mismatch->op * MAP_ENTRIES,
                          script_result(w->script, call + 1), mismatch);
    return agree;
}

/* Runs a sequence on a new allocator; whether it disagrees with the model, and
 * at which call. */
static bool disagrees(const struct workspace *w, const struct setup *setup, const struct op *ops,
                      size_t n, struct mismatch *mismatch)
{
    struct model model = {.setup = setup};
    uint64_t values[NSLOTS] = {0};
    struct recording rec;

    memset(w->meta, 0, MODEL_META_BYTES); /* uninitialised metadata has a test of its own */
    memset(w->memory, 0, MODEL_MEMORY_BYTES);
    memset(w->maps, 0xa5, n * MAP_ENTRIES * sizeof *w->maps);
    record(w, setup, ops, n, &rec);
    script_run(w->script);

    mismatch->op = 0;
    if (script_result(w->script, rec.size_of) - 1 >= MODEL_META_BYTES ||
        script_result(w->script, rec.init) == 0) {
        snprintf(mismatch->returned, sizeof mismatch->returned, "nothing");
        return !disagree(mismatch, "expected buddy_sizeof() and buddy_init() to succeed");
    }
    for (; mismatch->op < n; mismatch->op++) {
        bool with_map = setup->map_after_each || mismatch->op + 1 == n;

        if (!check_op(w, &model, &ops[mismatch->op], &rec, with_map, values, mismatch))
            return true;
    }
    return false;
}

/* ---- a shorter sequence -------------------------------------------------------------- */

/* The context of struct sequence: how a sequence is run, and where it disagreed. */
struct trial {
    const struct workspace *workspace;
    struct setup setup;
    struct mismatch mismatch;
};

static size_t run_ops(const void *ops, size_t n, void *context)
{
    struct trial *t = context;

    return disagrees(t->workspace, &t->setup, ops, n, &t->mismatch) ? t->mismatch.op + 1 : 0;
}

static bool reduce_size(void *op, unsigned attempt, void *context)
{
    struct op *o = op;

    (void)context;
    if (o->free || o->size_bytes <= 1 || attempt > 1)
        return false;
    o->size_bytes = attempt == 0 ? o->size_bytes / 2 : o->size_bytes - 1;
    return true;
}

/* Replaces the setup by a simpler one if the sequence still disagrees. */
static bool try_setup(struct trial *t, struct sequence *s, struct setup simpler)
{
    struct setup old = t->setup;
    size_t n;

    t->setup = simpler;
    n = run_ops(s->ops, s->n, t);
    if (n == 0)
        t->setup = old;
    else
        s->n = n;
    return n > 0;
}

/* True when anything changed. */
static bool simplify_setup(struct trial *t, struct sequence *s)
{
    bool changed = false;
    struct setup simpler = t->setup;

    simpler.map_after_each = false;
    if (t->setup.map_after_each)
        changed |= try_setup(t, s, simpler);
    simpler = t->setup;
    simpler.misalign_bytes = 0;
    if (t->setup.misalign_bytes > 0)
        changed |= try_setup(t, s, simpler);
    simpler = t->setup;
    simpler.min_block_bytes = 16;
    simpler.len_bytes = simpler.nunits * 16;
    simpler.misalign_bytes = t->setup.misalign_bytes / t->setup.min_block_bytes * 16;
    if (t->setup.min_block_bytes > 16)
        changed |= try_setup(t, s, simpler);
    for (size_t nunits = 1; nunits <= t->setup.nunits; nunits++) {
        simpler = t->setup;
        simpler.nunits = nunits;
        simpler.len_bytes = nunits * simpler.min_block_bytes;
        if (simpler.len_bytes < t->setup.len_bytes)
            changed |= try_setup(t, s, simpler);
    }
    return changed;
}

/* Until neither the calls nor the setup can be made simpler. */
static void shrink(struct trial *t, struct sequence *s)
{
    bool changed;

    do {
        changed = simplify_setup(t, s);
        changed |= sequence_shrink(s);
    } while (changed);
    if (run_ops(s->ops, s->n, t) == 0)
        fail_msg("the same calls returned correct results in one run and wrong ones in another");
}

/* ---- random sequences ----------------------------------------------------------------- */

static struct setup random_setup(uint64_t *random)
{
    struct setup s = {.nunits = 1 + random_below(random, MODEL_UNITS),
                      .min_block_bytes = (size_t)16 << random_below(random, 3)};

    if (random_below(random, 2))
        s.nunits = 64;
    s.len_bytes = s.nunits * s.min_block_bytes + random_below(random, s.min_block_bytes);
    s.misalign_bytes = random_below(random, 64) * s.min_block_bytes;
    s.map_after_each = random_below(random, 3) != 0;
    return s;
}

/* Most frees are of blocks in use, a few are double frees. */
static void random_ops(uint64_t *random, const struct setup *setup, struct op *ops)
{
    bool used[NSLOTS] = {false};

    for (size_t i = 0; i < OPS; i++) {
        unsigned slot = (unsigned)random_below(random, NSLOTS);
        size_t largest = setup->min_block_bytes << random_below(random, 7);

        ops[i] = (struct op){.free = used[slot] || random_below(random, 16) == 0, .slot = slot};
        if (!ops[i].free)
            ops[i].size_bytes = random_below(random, largest + 1);
        used[slot] = !ops[i].free;
    }
}

/* ---- the message ------------------------------------------------------------------------ */

/* The calls of a short sequence as a student would write them; the blocks are
 * p1, p2, ... in the order of their allocation. */
static const char *as_program(const struct op *ops, size_t n)
{
    static char text[4096];
    unsigned names[NSLOTS] = {0}, nnames = 0;

    text[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        unsigned *name = &names[ops[i].slot];

        if (!ops[i].free)
            text_add(text, sizeof text, "    p%u = buddy_alloc(b, %zu);\n", *name = ++nnames,
                     ops[i].size_bytes);
        else if (*name > 0)
            text_add(text, sizeof text, "    buddy_free(b, p%u);\n", *name);
        else
            text_add(text, sizeof text, "    buddy_free(b, NULL);\n");
    }
    return text;
}

/* ", base 32 bytes past a multiple of 4096": "" if base is well aligned and the
 * map is read after the last call only. */
static const char *as_condition(const struct setup *setup)
{
    static char text[128];

    text[0] = '\0';
    if (setup->misalign_bytes > 0)
        text_add(text, sizeof text, ", base %zu bytes past a multiple of 4096",
                 setup->misalign_bytes);
    if (setup->map_after_each)
        text_add(text, sizeof text, ", buddy_blocks() after each");
    return text;
}

TEST(random_calls_agree_with_a_model,
     "Each of 100 000 random calls returns what a simple model predicts; a failure shows a short "
     "sequence of calls that goes wrong.")
{
    struct workspace w = {
        .meta = arena_alloc("meta", MODEL_META_BYTES),
        .memory = arena_alloc_at("base", MODEL_MEMORY_BYTES, 4096, 0),
        .maps = arena_out("out", OPS * MAP_ENTRIES * sizeof(struct buddy_block)),
        .script = script_new(2 * OPS + 2),
    };
    uint64_t random = testkit_seed();

    for (size_t i = 0; i < SEQUENCES; i++) {
        struct trial t = {.workspace = &w, .setup = random_setup(&random)};
        static struct op ops[OPS];
        struct sequence s = {.ops = ops,
                             .n = OPS,
                             .op_bytes = sizeof *ops,
                             .run = run_ops,
                             .simplify = reduce_size,
                             .context = &t};

        random_ops(&random, &t.setup, ops);
        if (run_ops(ops, OPS, &t) == 0)
            continue;
        shrink(&t, &s);
        fail_msg("these calls, in a region of %zu bytes with min_block_bytes %zu%s:\n"
                 "%s  the last one returned %s: %s",
                 t.setup.len_bytes, t.setup.min_block_bytes, as_condition(&t.setup),
                 as_program(ops, s.n), t.mismatch.returned, t.mismatch.expected);
    }
}
