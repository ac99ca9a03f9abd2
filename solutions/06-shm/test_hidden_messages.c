/* test_hidden_messages.c - lab 06: messages that wrap around, random calls
 * against a model, and a ring at different addresses. */
#include "test_hidden.h"

/* ---- wrap around --------------------------------------------------------------------- */

/* Puts and gets a message of len bytes, alone and behind another one. */
static void put_and_get(struct ring *r, unsigned char *buf, size_t len, size_t position)
{
    unsigned char message[80];

    random_fill(message, len, len + position);
    assert_int_equal(ring_put(r, arena_input("message", message, len), len, 0), 0);
    assert_int_equal(ring_get(r, buf, 80, 0), len);
    assert_memory_equal(test_copy(buf, len), message, len);
    assert_int_equal(ring_put(r, NULL, 0, 0), 0); /* the next one starts 8 bytes later */
    assert_int_equal(ring_get(r, buf, 80, 0), 0);
    if (RING_COST(len) + 16 <= 80) {
        put_text(r, "in front");
        assert_int_equal(ring_put(r, arena_input("message", message, len), len, 0), 0);
        assert_next(r, "in front");
        assert_int_equal(ring_get(r, buf, 80, 0), len);
        assert_memory_equal(test_copy(buf, len), message, len);
    }
}

TEST(a_message_wraps_around,
     "A message of any length may start anywhere in the ring and wrap around its end.")
{
    const size_t huge = 100001; /* more than 16 bits or a small buffer can hold */
    const char *name = unique_name();
    struct ring *r = OPEN_RING(puppet_start(), name, RING_POSIX, 88, RING_CREATE);
    unsigned char *message = test_alloc(huge);
    unsigned char *buf = arena_out("buf", 80);

    for (size_t len = 0; len <= 72; len += 4)
        for (size_t position = 0; position < 88; position += 8)
            put_and_get(r, buf, len, position);
    ring_close(r);
    ring_destroy(name, RING_POSIX);

    name = unique_name();
    r = OPEN_RING(puppet_current(), name, RING_POSIX, RING_COST(huge) + 8, RING_CREATE);
    buf = arena_out("buf", huge);
    put_text(r, "in front");
    assert_next(r, "in front");
    random_fill(message, huge, 1);
    assert_int_equal(ring_put(r, arena_input("message", message, huge), huge, 0), 0);
    assert_int_equal(ring_get(r, buf, huge, 0), huge);
    assert_memory_equal(test_copy(buf, huge), message, huge);
    ring_close(r);
    ring_destroy(name, RING_POSIX);
}

/* ---- a model: a queue of lengths that counts its bytes ---------------------------------- */

enum { OPS = 400, OP_BYTES = 96 };

struct op {
    bool put;
    size_t len;    /* of the message, or of the buffer */
    uint64_t seed; /* of the message's bytes */
};

struct model {
    const struct op *ops;
    bool accepted[OPS]; /* a put that succeeded */
    size_t capacity, used;
    size_t oldest; /* no accepted put before this one is still in the ring */
};

static void random_ops(struct op *ops, size_t n, size_t capacity, uint64_t *seed)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t x = random_next(seed);

        ops[i].put = x >> 63;
        ops[i].len = (x >> 32) % (capacity - 8 < OP_BYTES ? capacity - 6 : OP_BYTES);
        if (!ops[i].put && (x >> 20) % 4 != 0)
            ops[i].len = OP_BYTES;
        ops[i].seed = x;
    }
}

/* The errno of call i, or 0; moves m->oldest to the oldest message. */
static int model_error(struct model *m, size_t i)
{
    const struct op *op = &m->ops[i];

    while (m->oldest < i && !m->accepted[m->oldest])
        m->oldest++;
    if (op->put) {
        if (RING_COST(op->len) > m->capacity)
            return EMSGSIZE;
        return RING_COST(op->len) > m->capacity - m->used ? ETIMEDOUT : 0;
    }
    if (m->used == 0)
        return ETIMEDOUT;
    return m->ops[m->oldest].len > op->len ? EMSGSIZE : 0;
}

static void model_apply(struct model *m, size_t i)
{
    if (m->ops[i].put) {
        m->used += RING_COST(m->ops[i].len);
        m->accepted[i] = true;
    } else {
        m->used -= RING_COST(m->ops[m->oldest].len);
        m->oldest++;
    }
}

/* Compares call i with the model; false, and why, if they differ. */
static bool agrees(struct model *m, size_t i, const struct script *s, const unsigned char *bytes,
                   char *why, size_t size)
{
    const struct op *op = &m->ops[i], *oldest;
    int64_t value = (int64_t)script_result(s, i), expected = 0;
    int error = model_error(m, i), call_errno = script_errno(s, i);
    unsigned char message[OP_BYTES];

    oldest = &m->ops[m->oldest];
    if (error != 0)
        expected = -1;
    else if (!op->put)
        expected = (int64_t)oldest->len;
    if (op->put)
        value = (int)value;
    if (value != expected || (error != 0 && (error == EMSGSIZE) != (call_errno == EMSGSIZE))) {
        snprintf(why, size, "returned %lld (%s), not %lld (%s)", (long long)value,
                 error_name(value < 0 ? call_errno : 0), (long long)expected, error_name(error));
        return false;
    }
    if (error != 0)
        return true;
    if (!op->put) {
        random_fill(message, oldest->len, oldest->seed);
        if (memcmp(message, bytes, oldest->len) != 0) {
            snprintf(why, size, "returned a message of %zu bytes with other bytes than were put",
                     oldest->len);
            return false;
        }
    }
    model_apply(m, i);
    return true;
}

struct run {
    size_t capacity;
    char why[160]; /* the last run failed */
};

static const void *message_of(const struct op *op)
{
    unsigned char message[OP_BYTES];

    random_fill(message, op->len, op->seed);
    return arena_input("message", message, op->len);
}

/* Runs the calls on a new ring: how many it took until one differed from the
 * model, or 0 if none did. */
static size_t run_ops(const void *sequence, size_t n, void *context)
{
    const struct op *ops = sequence;
    struct run *run = context;
    const char *name = unique_name();
    struct ring *r = OPEN_RING(puppet_current(), name, RING_POSIX, run->capacity, RING_CREATE);
    struct script *s = script_new(n);
    unsigned char *bytes = arena_out("results", n * OP_BYTES), *copy = malloc(n * OP_BYTES);
    struct model model = {.ops = ops, .capacity = run->capacity};
    size_t i;

    if (copy == NULL)
        testkit_broken("no memory for %zu results", n);
    for (i = 0; i < n; i++)
        if (ops[i].put)
            RECORD(s, ring_put(r, message_of(&ops[i]), ops[i].len, 0));
        else
            RECORD(s, ring_get(r, bytes + i * OP_BYTES, ops[i].len, 0));
    script_run(s);
    memcpy(copy, bytes, n * OP_BYTES);
    for (i = 0; i < n; i++)
        if (!agrees(&model, i, s, copy + i * OP_BYTES, run->why, sizeof(run->why)))
            break;
    free(copy);
    ring_close(r);
    ring_destroy(name, RING_POSIX);
    return i < n ? i + 1 : 0;
}

/* Reports the shortest sequence that still fails. */
static void fail_shortest(struct op *ops, size_t n, struct run *run)
{
    struct sequence s = {.ops = ops,
                         .n = n,
                         .op_bytes = sizeof(*ops),
                         .run = run_ops,
                         .context = run,
                         .max_runs = 300};
    char text[4096] = "";

    sequence_shrink(&s);
    run_ops(ops, s.n, run);
    for (size_t i = 0; i < s.n; i++)
        text_add(text, sizeof(text), "%s%s %zu", i ? ", " : "", ops[i].put ? "put" : "get",
                 ops[i].len);
    fail_msg("in a ring of %zu bytes: %s: the last call %s", run->capacity, text, run->why);
}

TEST(random_calls_agree_with_a_model,
     "Random calls to ring_put and ring_get behave like a queue that counts RING_COST bytes for "
     "every message.")
{
    static const size_t capacities[] = {16, 64, 104, 256};
    uint64_t seed = testkit_seed();
    struct op ops[OPS];

    puppet_start();
    for (size_t i = 0; i < sizeof(capacities) / sizeof(*capacities); i++) {
        struct run run = {.capacity = capacities[i]};
        size_t failed;

        random_ops(ops, OPS, run.capacity, &seed);
        failed = run_ops(ops, OPS, &run);
        if (failed != 0)
            fail_shortest(ops, failed, &run);
    }
}

/* ---- different addresses ------------------------------------------------------------------ */

static void the_ring_works_at_different_addresses_over(int backend)
{
    const char *name = unique_name();
    struct puppet *a = puppet_start();
    struct puppet *b = puppet_start();
    struct ring *in_a, *in_b, *again;

    fault_displace_maps(a);
    fault_displace_maps(b);
    in_a = OPEN_RING(a, name, backend, 64, RING_CREATE);
    in_b = OPEN_RING(b, name, backend, 64, 0);
    assert_mapping_seen(a, backend);
    assert_mapping_seen(b, backend);
    for (int round = 0; round < 5; round++) {
        puppet_use(a);
        put_text(in_a, "from a, wraps around");
        puppet_use(b);
        assert_next(in_b, "from a, wraps around");
        put_text(in_b, "from b");
        puppet_use(a);
        assert_next(in_a, "from b");
    }
    puppet_use(a);
    again = OPEN_RING(a, name, backend, 64, 0); /* twice in one process */
    put_text(again, "once more");
    puppet_use(b);
    assert_next(in_b, "once more");
    puppet_use(a);
    ring_close(again);
    put_text(in_a, "the first is still open");
    puppet_use(b);
    assert_next(in_b, "the first is still open");
    ring_destroy(name, backend);
}

TEST(the_ring_works_at_different_addresses,
     "The ring works when every process maps it at a different address: it contains no pointers.")
{
    the_ring_works_at_different_addresses_over(RING_POSIX);
}

TEST(sysv_the_ring_works_at_different_addresses,
     "System V: the ring works when every process attaches it at a different address: it contains "
     "no pointers.")
{
    the_ring_works_at_different_addresses_over(RING_SYSV);
}
