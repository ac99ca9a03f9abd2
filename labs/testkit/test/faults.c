/* faults.c - plans which of a puppet's calls to libc fail, are short, pause, or
 * are held (testkit.h).  decisions.c carries the plan out.
 */
#include "faults.h"

#include <stdio.h>

#include "control.h"
#include "decisions.h"
#include "failure.h"
#include "fork_server_client.h"
#include "puppets.h"
#include "serve.h"
#include "shared/text.h"
#include "support.h"

static const struct {
    const char *name, *function;
} calls[FAULT_CALLS] = {
#define NAMES(name, function) [name] = {#name, function},
    FAULT_CALL_LIST(NAMES)
#undef NAMES
};

void fault_watch(struct puppet *p, enum fault_call call)
{
    p->watched[call] = true;
    control_arm(p->number, call, true);
}

static void plan(struct puppet *p, struct fault fault)
{
    fault_watch(p, fault.call);
    fault.counted = fault_count(p, fault.call);
    if (fault.kind != FAULT_DELAY && fault.kind != FAULT_OBSERVE && fault.nth == 0)
        testkit_broken("calls are counted from 1");
    if (p->nfaults == MAX_FAULTS)
        test_ran_out("more than %d faults were planned", MAX_FAULTS);
    p->faults[p->nfaults++] = fault;
}

void fault_fail(struct puppet *p, enum fault_call call, unsigned nth, int error)
{
    plan(p, (struct fault){.kind = FAULT_FAIL, .call = call, .nth = nth, .error = error});
}

void fault_fail_from(struct puppet *p, enum fault_call call, unsigned nth, int error)
{
    plan(p, (struct fault){
                .kind = FAULT_FAIL, .call = call, .nth = nth, .error = error, .sticky = true});
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

void fault_observe(struct puppet *p, enum fault_call call, fault_observer *observer)
{
    plan(p, (struct fault){.kind = FAULT_OBSERVE, .call = call, .observer = observer});
}

void fault_hold(struct puppet *p, enum fault_call call, unsigned nth)
{
    plan(p, (struct fault){.kind = FAULT_HOLD, .call = call, .nth = nth});
}

void fault_hold_before(struct puppet *p, enum fault_call call, unsigned nth)
{
    plan(p, (struct fault){.kind = FAULT_HOLD_BEFORE, .call = call, .nth = nth});
}

void fault_release(struct puppet *p)
{
    has_reply(p); /* a question that has been sent is counted under the plan */
    p->nfaults = 0;
    decisions_release(p);
}

void fault_displace_maps(struct puppet *p)
{
    p->displace = true;
    fault_watch(p, FAULT_MMAP);
    fault_watch(p, FAULT_SHMAT);
}

bool fault_fired(struct puppet *p)
{
    has_reply(p);
    return p->fired > 0;
}

pid_t fault_process(struct puppet *p)
{
    return fault_fired(p) ? p->fired_in : 0;
}

bool fault_repeated(struct puppet *p)
{
    return fault_fired(p) && p->repeated;
}

unsigned fault_count(struct puppet *p, enum fault_call call)
{
    if (!p->watched[call])
        testkit_broken("%s is not counted: fault_watch() comes before the call", calls[call].name);
    has_reply(p);
    return p->calls[call];
}

void fault_clear(struct puppet *p)
{
    fault_release(p);
    p->fired = 0;
    p->displace = false;
    for (int call = 0; call < HEAP_ALLOCATED; call++) {
        p->calls[call] = 0;
        p->watched[call] = false;
        control_arm(p->number, call, false);
    }
}

/* ---- calls that must be seen -------------------------------------------------- */

void check_called(struct puppet *p, const enum fault_call any_of[], size_t n, const char *file,
                  int line)
{
    char names[200] = "";

    for (size_t i = 0; i < n; i++) {
        if (fault_count(p, any_of[i]) > 0)
            return;
        text_add(names, sizeof names, "%s%s()", i == 0 ? "" : " or ", calls[any_of[i]].function);
    }
    from_here(file, line);
    fail_call("no call of %s was seen in %s; call the function of libc", names, p->doing);
}

/* ---- traps -------------------------------------------------------------------- */

void trap_release(struct puppet *p)
{
    fork_server_ask(FRAME_UNTRAP, p->sandbox_pid);
}

/* ---- faults that did not happen --------------------------------------------- */

static void explain(const struct fault *fault)
{
    static const char *const functions[] = {[FAULT_FAIL] = "fault_fail",
                                            [FAULT_SHORT] = "fault_short",
                                            [FAULT_HOLD_BEFORE] = "fault_hold_before",
                                            [FAULT_HOLD] = "fault_hold"};

    fprintf(stderr, "planned, but never reached: %s(%s, %u)", functions[fault->kind],
            calls[fault->call].name, fault->nth);
    if (fault->nth <= fault->counted)
        fprintf(stderr, ": %u such calls had been made before; fault_clear() starts to count anew",
                fault->counted);
    fprintf(stderr, "\n");
}

void faults_explain(void)
{
    for (size_t i = 0; i < puppets_count(); i++) {
        const struct puppet *p = puppets_get(i);

        for (unsigned k = 0; k < p->nfaults; k++)
            if (p->faults[k].nth != 0 && !p->faults[k].reached)
                explain(&p->faults[k]);
    }
}
