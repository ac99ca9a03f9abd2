/* shrink.c - makes a failing sequence of operations shorter (support.h).
 *
 * Theory of operation.  A candidate is a copy of the sequence with operations
 * left out or made simpler.  If it still fails, it replaces the sequence, cut
 * off after the operation that failed; otherwise it is dropped.  First halves
 * are left out, then quarters, down to single operations (delta debugging).
 * Then operations are made simpler.  Then, in a short sequence, pairs are left
 * out: one that allocates and one that frees, for example.  All of this repeats
 * until nothing changes.
 */
#include <stdlib.h>
#include <string.h>

#include "support.h"

enum { SHORT = 40 }; /* 40 operations have 780 pairs */

struct work {
    struct sequence *s;
    char *candidate; /* of s->n operations at most */
    size_t runs;
};

static char *op_at(void *ops, const struct sequence *s, size_t index)
{
    return (char *)ops + index * s->op_bytes;
}

static bool may_run(const struct work *w)
{
    return w->s->max_runs == 0 || w->runs < w->s->max_runs;
}

/* Replaces the sequence by the candidate of n operations if that fails. */
static bool accept(struct work *w, size_t n)
{
    struct sequence *s = w->s;
    size_t failed;

    if (n == 0 || !may_run(w))
        return false;
    w->runs++;
    failed = s->run(w->candidate, n, s->context);
    if (failed == 0)
        return false;
    if (failed > n)
        testkit_broken("sequence_shrink: operation %zu of %zu failed", failed, n);
    memcpy(s->ops, w->candidate, failed * s->op_bytes);
    s->n = failed;
    return true;
}

/* The candidate: the sequence without `left_out` operations from `from` on. */
static size_t copy_without(struct work *w, size_t from, size_t left_out)
{
    struct sequence *s = w->s;
    size_t rest = s->n - from - left_out;

    memcpy(w->candidate, s->ops, from * s->op_bytes);
    memcpy(op_at(w->candidate, s, from), op_at(s->ops, s, from + left_out), rest * s->op_bytes);
    return s->n - left_out;
}

static bool leave_out_pieces(struct work *w)
{
    struct sequence *s = w->s;
    size_t n_before = s->n;

    for (size_t piece = (s->n + 1) / 2; piece > 0; piece = piece > 1 ? (piece + 1) / 2 : 0)
        for (size_t from = 0; from < s->n && may_run(w);) {
            size_t left_out = piece < s->n - from ? piece : s->n - from;

            if (!accept(w, copy_without(w, from, left_out)))
                from += piece;
        }
    return s->n < n_before;
}

static bool simplify_ops(struct work *w)
{
    struct sequence *s = w->s;
    bool changed = false;

    if (!s->simplify)
        return false;
    for (size_t i = 0; i < s->n; i++)
        for (unsigned attempt = 0; i < s->n && may_run(w);) {
            size_t n = copy_without(w, 0, 0);

            if (!s->simplify(op_at(w->candidate, s, i), attempt, s->context))
                break;
            if (accept(w, n)) {
                changed = true;
                attempt = 0;
            } else
                attempt++;
        }
    return changed;
}

/* Without operations i and j, i < j. */
static bool leave_out_pair(struct work *w, size_t i, size_t j)
{
    struct sequence *s = w->s;
    size_t n = copy_without(w, j, 1);

    memmove(op_at(w->candidate, s, i), op_at(w->candidate, s, i + 1), (n - i - 1) * s->op_bytes);
    return accept(w, n - 1);
}

static bool leave_out_pairs(struct work *w)
{
    struct sequence *s = w->s;

    if (s->n > SHORT)
        return false;
    for (size_t i = 0; i < s->n; i++)
        for (size_t j = i + 1; j < s->n && may_run(w); j++)
            if (leave_out_pair(w, i, j))
                return true;
    return false;
}

/* Cuts off the operations after the one that fails. */
static bool cut_off(struct work *w)
{
    size_t n_before = w->s->n;

    return accept(w, copy_without(w, n_before, 0)) && w->s->n < n_before;
}

bool sequence_shrink(struct sequence *s)
{
    struct work w = {.s = s, .candidate = malloc(s->n * s->op_bytes + 1)};
    bool changed, any;

    if (!w.candidate)
        testkit_broken("no memory for a sequence of %zu operations", s->n);
    any = cut_off(&w);
    do {
        changed = leave_out_pieces(&w);
        changed |= simplify_ops(&w);
        changed = changed || leave_out_pairs(&w);
        any |= changed;
    } while (changed);
    free(w.candidate);
    return any;
}
