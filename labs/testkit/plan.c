/* plan.c - a test's plan of what shall fail in a puppet; faults.c, in the
 * puppet, carries it out.  Both see it in the arena's control page.
 */
#include <limits.h>
#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "session.h"

static void add(struct puppet *p, struct fault fault)
{
    unsigned n = p->nfaults++; /* the count in the slot is not to be trusted */

    if (fault.kind != FAULT_DELAY && fault.nth == 0)
        testkit_broken("calls are counted from 1");
    if (n >= MAX_FAULTS)
        test_ran_out("more than %d faults were planned", MAX_FAULTS);
    p->slot->faults[n] = fault;
    atomic_store(&p->slot->nfaults, n + 1);
}

void fault_fail(struct puppet *p, enum fault_call call, unsigned nth, int error)
{
    add(p, (struct fault){.kind = FAULT_FAIL, .call = call, .nth = nth, .error = error});
}

void fault_short(struct puppet *p, enum fault_call call, unsigned nth, size_t at_most_bytes)
{
    if (call != FAULT_READ && call != FAULT_WRITE)
        testkit_broken("only read and write can be short");
    add(p, (struct fault){.kind = FAULT_SHORT, .call = call, .nth = nth, .bytes = at_most_bytes});
}

void fault_delay(struct puppet *p, enum fault_call call, uint64_t seed, unsigned max_us)
{
    if (max_us > 999999)
        testkit_broken("a pause is shorter than a second");
    add(p, (struct fault){.kind = FAULT_DELAY, .call = call, .seed = seed, .max_us = max_us});
}

void fault_hold(struct puppet *p, enum fault_call call, unsigned nth)
{
    p->to_be_held = true;
    add(p, (struct fault){.kind = FAULT_HOLD, .call = call, .nth = nth});
}

static void forget(struct puppet *p)
{
    p->nfaults = 0;
    p->to_be_held = false;
    atomic_store(&p->slot->nfaults, 0);
}

/* Lets a puppet go on that stands still in stand_still(). */
static void lower(atomic_uint *flag)
{
    atomic_store(flag, 0);
    syscall(SYS_futex, flag, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

void fault_release(struct puppet *p)
{
    forget(p);
    lower(&p->slot->held);
}

void trap_release(struct puppet *p)
{
    lower(&p->slot->trapped);
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
