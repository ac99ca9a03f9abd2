/* callbacks.c - functions of the test that student code calls (callbacks.h).
 *
 * They run in the test process while the puppet waits (serve.c); what they see
 * and count is the test's own observation.
 */
#include "callbacks.h"

#include "control.h"
#include "failure.h"

static callback_function *functions[MAX_CALLBACKS];
static unsigned nfunctions;

void callbacks_forget(void)
{
    nfunctions = 0;
}

unsigned callbacks_add(callback_function *function, size_t nargs)
{
    if (nfunctions == MAX_CALLBACKS)
        testkit_broken("a test has at most %d callbacks", MAX_CALLBACKS);
    if (nargs > FRAME_WORDS)
        testkit_broken("a callback has at most %d arguments", FRAME_WORDS);
    functions[nfunctions] = function;
    control_set_nargs(nfunctions, nargs);
    return nfunctions++;
}

void callbacks_serve(struct puppet *p, const struct message *m)
{
    unsigned number = m->frame.error;
    uint64_t value;

    if (m->sender != p->pid)
        test_fail("a child process called back during %s", p->doing);
    if (number >= nfunctions)
        test_fail("%s: there is no callback %u", p->doing, number);
    value = functions[number](p, m->frame.words);
    control_answer(m->frame.tid, m->frame.nonce, 0, 0, value);
}
