/* faults.c - plans which of a puppet's calls to libc fail, are short, pause, or
 * are held (testkit.h).
 *
 * The plan lies in the puppet's slot of the control page (shared/wire.h).
 * puppet/wrappers.c reads it there, carries it out, and counts calls.  Student
 * code can write there too, so nothing that is read back affects a score.
 */
#include "faults.h"

#include <limits.h>
#include <linux/futex.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "failure.h"
#include "puppets.h"

static const char *const call_names[FAULT_CALLS] = {
#define NAME(name) [name] = #name,
    FAULT_CALL_LIST(NAME)
#undef NAME
};

static void plan(struct puppet *p, struct fault fault)
{
    unsigned n = p->nfaults++; /* a puppet can change the count in the slot */
    unsigned counted = fault_count(p, fault.call);

    if (fault.kind != FAULT_DELAY && fault.nth == 0)
        testkit_broken("calls are counted from 1");
    if (n >= MAX_FAULTS)
        test_ran_out("more than %d faults were planned", MAX_FAULTS);
    p->faults[n] = (struct planned_fault){
        .kind = fault.kind, .call = fault.call, .nth = fault.nth, .counted = counted};
    p->slot->faults[n] = fault;
    atomic_store(&p->slot->nfaults, n + 1);
}

void fault_fail(struct puppet *p, enum fault_call call, unsigned nth, int error)
{
    plan(p, (struct fault){.kind = FAULT_FAIL, .call = call, .nth = nth, .error = error});
}

void fault_short(struct puppet *p, enum fault_call call, unsigned nth, size_t max_bytes)
{
    if (call != FAULT_READ && call != FAULT_WRITE)
        testkit_broken("only read and write can be short");
    plan(p, (struct fault){.kind = FAULT_SHORT, .call = call, .nth = nth, .bytes = max_bytes});
}

void fault_delay(struct puppet *p, enum fault_call call, uint64_t seed, unsigned max_us)
{
    if (max_us > 999999)
        testkit_broken("a pause is shorter than a second");
    plan(p, (struct fault){.kind = FAULT_DELAY, .call = call, .seed = seed, .max_us = max_us});
}

void fault_hold(struct puppet *p, enum fault_call call, unsigned nth)
{
    p->hold_planned = true;
    plan(p, (struct fault){.kind = FAULT_HOLD, .call = call, .nth = nth});
}

static void forget(struct puppet *p)
{
    p->nfaults = 0;
    p->hold_planned = false;
    atomic_store(&p->slot->nfaults, 0);
}

/* Lets a puppet continue that called park() in puppet/wrappers.c. */
static void unpark(atomic_uint *flag)
{
    atomic_store(flag, 0);
    syscall(SYS_futex, flag, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

void fault_release(struct puppet *p)
{
    forget(p);
    unpark(&p->slot->held);
}

void trap_release(struct puppet *p)
{
    unpark(&p->slot->trapped);
}

void fault_displace_maps(struct puppet *p)
{
    atomic_store(&p->slot->displace, true);
}

bool fault_fired(const struct puppet *p)
{
    return atomic_load(&p->slot->fired) > 0;
}

unsigned fault_count(const struct puppet *p, enum fault_call call)
{
    return atomic_load(&p->slot->calls[call]);
}

void fault_clear(struct puppet *p)
{
    forget(p);
    atomic_store(&p->slot->fired, 0);
    atomic_store(&p->slot->displace, false);
    for (int call = 0; call < FAULT_CALLS; call++)
        atomic_store(&p->slot->calls[call], 0);
}

/* ---- faults that did not happen --------------------------------------------- */

static void explain(const struct planned_fault *fault)
{
    static const char *const functions[] = {
        [FAULT_FAIL] = "fault_fail", [FAULT_SHORT] = "fault_short", [FAULT_HOLD] = "fault_hold"};

    fprintf(stderr, "planned, but never reached: %s(%s, %u)", functions[fault->kind],
            call_names[fault->call], fault->nth);
    if (fault->nth <= fault->counted)
        fprintf(stderr, ": %u such calls had been made before; fault_clear() starts to count anew",
                fault->counted);
    fprintf(stderr, "\n");
}

void faults_explain(void)
{
    for (size_t i = 0; i < puppets_count(); i++) {
        const struct puppet *p = puppets_get(i);

        for (unsigned k = 0; k < p->nfaults && k < MAX_FAULTS; k++)
            if (p->faults[k].kind != FAULT_DELAY && p->slot->faults[k].reached == 0)
                explain(&p->faults[k]);
    }
}
