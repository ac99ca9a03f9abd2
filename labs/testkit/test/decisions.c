/* decisions.c - what becomes of a puppet's calls to libc (decisions.h).
 *
 * A call that is armed asks before it is made, and again after it where the
 * first answer says so.  The plan (struct fault) and all counters lie in this
 * process.  A call is held, or pauses, by waiting for its answer.
 */
#include "decisions.h"

#include <string.h>

#include "control.h"
#include "failure.h"
#include "shared/xorshift.h"
#include "support.h"

enum { MAX_WAITING = 256 };

struct waiting { /* a question that has no answer yet */
    const struct puppet *puppet;
    uint32_t tid;
    uint64_t ticket;
    struct answer answer;
    uint64_t due_ns; /* 0: when it is released */
};
static struct waiting waiting[MAX_WAITING];
static size_t nwaiting;

void decisions_forget(void)
{
    nwaiting = 0;
}

static void give(const struct waiting *w)
{
    control_answer(w->tid, w->ticket, w->answer.flags, w->answer.error, w->answer.value);
}

static void remove_at(size_t index)
{
    waiting[index] = waiting[--nwaiting];
}

uint64_t decisions_due(void)
{
    uint64_t now = nwaiting ? now_ns() : 0, next = UINT64_MAX;

    for (size_t i = 0; i < nwaiting;) {
        if (waiting[i].due_ns != 0 && waiting[i].due_ns <= now) {
            give(&waiting[i]);
            remove_at(i);
            continue;
        }
        if (waiting[i].due_ns != 0 && (waiting[i].due_ns - now) / 1000 + 1 < next)
            next = (waiting[i].due_ns - now) / 1000 + 1;
        i++;
    }
    return next;
}

static bool any(const struct puppet *p, bool is_held)
{
    for (size_t i = 0; i < nwaiting; i++)
        if (waiting[i].puppet == p && (waiting[i].due_ns == 0) == is_held)
            return true;
    return false;
}

bool decisions_hold(const struct puppet *p)
{
    return any(p, true);
}

bool decisions_delay(const struct puppet *p)
{
    return any(p, false);
}

void decisions_release(const struct puppet *p)
{
    for (size_t i = 0; i < nwaiting;) {
        if (waiting[i].puppet != p) {
            i++;
            continue;
        }
        give(&waiting[i]);
        remove_at(i);
    }
}

/* ---- the plan ----------------------------------------------------------------- */

struct decision {
    struct answer answer;
    unsigned pause_us;
    bool hold;
};

static unsigned pause_of(const struct fault *fault, unsigned number)
{
    uint64_t state = fault->seed + number;

    return fault->max_us ? (xorshift64star(&state) >> 33) % fault->max_us : 0;
}

static bool concerns(const struct fault *fault, unsigned nth)
{
    return fault->nth == nth || (fault->sticky && nth > fault->nth);
}

/* Pauses and observers are for every such call; the others concern the nth, or all
 * from there. */
static void apply(struct puppet *p, struct fault *fault, unsigned nth, const struct message *m,
                  struct decision *decision)
{
    if (fault->kind == FAULT_DELAY) {
        decision->pause_us = pause_of(fault, nth * 2);
        decision->answer.flags |= ANSWER_ASK_AFTER;
        return;
    }
    if (fault->kind == FAULT_OBSERVE && fault->call == FAULT_EXEC) {
        fault->observer(p, m->sender);
        return;
    }
    if (fault->kind == FAULT_OBSERVE) {
        decision->answer.flags |= ANSWER_ASK_AFTER;
        return;
    }
    if (!concerns(fault, nth))
        return;
    fault->reached = true;
    fault->tid = m->frame.tid;
    p->fired++;
    p->fired_in = m->sender;
    p->fired_call = fault->call;
    p->repeated = false;
    if (fault->kind == FAULT_FAIL) {
        decision->answer.flags |= ANSWER_FAIL;
        decision->answer.error = fault->error;
    } else if (fault->kind == FAULT_SHORT) {
        decision->answer.flags |= ANSWER_SHORT;
        decision->answer.value = fault->bytes;
    } else if (fault->kind == FAULT_HOLD) {
        decision->answer.flags |= ANSWER_ASK_AFTER;
    } else {
        decision->hold = true;
    }
}

/* Puppets are forked from one process and would all map at the same address,
 * which would hide a pointer stored in shared memory. */
static uint64_t displaced_address(struct puppet *p)
{
    return 0x300000000000 + p->number * (UINT64_C(1) << 36) + p->nmaps++ * (UINT64_C(1) << 30);
}

static struct decision decide_before(struct puppet *p, enum fault_call call,
                                     const struct message *m)
{
    unsigned nth = ++p->calls[call];
    struct decision decision = {0};

    if (p->fired > 0 && call == p->fired_call && m->sender == p->fired_in)
        p->repeated = true;
    if (p->displace && (call == FAULT_MMAP || call == FAULT_SHMAT))
        decision.answer.value = displaced_address(p);
    for (unsigned i = 0; i < p->nfaults; i++)
        if (p->faults[i].call == call)
            apply(p, &p->faults[i], nth, m, &decision);
    return decision;
}

/* The thread that a hold is for; after fork() the child, too. */
static bool holds_after(const struct fault *fault, uint32_t tid)
{
    return fault->kind == FAULT_HOLD && fault->reached &&
           (fault->tid == tid || fault->call == FAULT_FORK);
}

static struct decision decide_after(struct puppet *p, enum fault_call call, const struct message *m)
{
    struct decision decision = {0};

    for (unsigned i = 0; i < p->nfaults; i++) {
        const struct fault *fault = &p->faults[i];

        if (fault->call != call)
            continue;
        if (fault->kind == FAULT_DELAY)
            decision.pause_us = pause_of(fault, p->calls[call] * 2 + 1);
        if (fault->kind == FAULT_OBSERVE)
            fault->observer(p, m->sender);
        decision.hold |= holds_after(fault, m->frame.tid);
    }
    return decision;
}

void decisions_ask(struct puppet *p, const struct message *m)
{
    uint64_t call = m->frame.words[0];
    struct waiting w = {.puppet = p, .tid = m->frame.tid, .ticket = m->frame.nonce};
    struct decision decision;

    if (call >= FAULT_CALLS)
        test_fail("%s: the question does not belong to this call", p->doing);
    decision =
        m->frame.words[1] == ASK_BEFORE ? decide_before(p, call, m) : decide_after(p, call, m);
    w.answer = decision.answer;
    if (decision.pause_us > 0)
        w.due_ns = now_ns() + decision.pause_us * UINT64_C(1000);
    if (!decision.hold && decision.pause_us == 0)
        give(&w);
    else if (nwaiting == MAX_WAITING)
        test_fail("%s: more than %d of its calls wait at the same time", p->doing, MAX_WAITING);
    else
        waiting[nwaiting++] = w;
}
