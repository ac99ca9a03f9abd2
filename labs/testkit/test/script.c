/* script.c - many calls in one frame, so that a hundred thousand of them take
 * little more time than the student's code itself.  The calls lie in the arena;
 * the results are copied out once, and tests judge the copy.
 */
#include "script.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arena.h"
#include "failure.h"
#include "frames.h"
#include "session.h"

struct script {
    struct script_call *calls;   /* in the arena */
    struct script_call *results; /* the test's own copy */
    size_t length, max;
    size_t begun; /* length when RECORD() began */
    struct script *next;
};

static struct script *scripts;
static struct script *recording; /* between script_begin() and script_end() */

struct script *script_new(size_t max_calls)
{
    struct script *s = calloc(1, sizeof *s);

    if (!s || !(s->results = calloc(max_calls, sizeof *s->results)))
        testkit_broken("no memory for a script of %zu calls", max_calls);
    s->calls = arena_alloc("a script", max_calls * sizeof *s->calls);
    s->max = max_calls;
    s->next = scripts;
    scripts = s;
    return s;
}

void scripts_free(void)
{
    while (scripts) {
        struct script *s = scripts;

        scripts = s->next;
        free(s->results);
        free(s);
    }
    recording = NULL;
}

bool script_is_recording(void)
{
    return recording != NULL;
}

void script_begin(struct script *s)
{
    recording = s;
    s->begun = s->length;
}

void script_append(const char *function, size_t nargs, const uint64_t args[])
{
    struct script *s = recording;
    struct script_call *call;

    if (s->length == s->max)
        testkit_broken("the script holds only %zu calls", s->max);
    if (strlen(function) >= sizeof call->function)
        testkit_broken("%s: the name is too long for a script", function);
    call = &s->calls[s->length++];
    *call = (struct script_call){.nargs = nargs};
    snprintf(call->function, sizeof call->function, "%s", function);
    memcpy(call->words, args, nargs * sizeof *args);
    for (size_t i = 0; i < nargs; i++)
        call->input_bytes[i] = arena_new_input_bytes(args[i]);
    arena_claim_inputs(s);
}

size_t script_end(struct script *s)
{
    recording = NULL;
    if (s->length != s->begun + 1)
        testkit_broken("RECORD() needs one call to a function of the contract");
    return s->begun;
}

void *script_value(const struct script *s, size_t index)
{
    if (index >= s->length)
        testkit_broken("the script has no call %zu yet", index);
    return (void *)(SCRIPT_VALUE_TAG | index);
}

/* The puppet can have written anything here: for messages only. */
static void describe_progress(struct puppet *p)
{
    const struct script *s = p->script;
    struct script_call call;
    size_t i = 0;
    size_t used;

    if (!s)
        return;
    while (i < s->length - 1 && s->calls[i].done)
        i++;
    call = s->calls[i];
    call.function[sizeof call.function - 1] = '\0';
    for (size_t k = 0; k < FRAME_WORDS; k++)
        if ((call.words[k] & SCRIPT_VALUE_MASK) == SCRIPT_VALUE_TAG)
            call.words[k] = s->calls[(call.words[k] & ~SCRIPT_VALUE_MASK) % s->length].value;
    used = snprintf(p->doing, sizeof p->doing, "call %zu of a script of %zu: ", i + 1, s->length);
    describe_call(p->doing + used, sizeof p->doing - used, call.function,
                  call.nargs < FRAME_WORDS ? call.nargs : FRAME_WORDS, call.words);
}

void script_start(struct puppet *p, struct script *s)
{
    struct frame request = {.kind = FRAME_SCRIPT, .words = {(uintptr_t)s->calls, s->length}};

    session.calls_begun = true;
    snprintf(request.text, sizeof request.text, "script_run");
    puppet_expect_idle(p, "script_start");
    snprintf(p->doing, sizeof p->doing, "a script of %zu calls", s->length);
    p->script = s;
    p->describe_progress = describe_progress;
    puppet_send(p, &request, -1);
    process_activity(p->pid, &p->at_start);
}

void script_finish(struct puppet *p, struct script *s)
{
    if (p->script != s)
        testkit_broken("script_finish() without script_start()");
    puppet_receive(p);
    arena_overwrite_inputs(s);
    p->script = NULL;
    p->describe_progress = NULL;
    memcpy(s->results, s->calls, s->length * sizeof *s->calls);
    for (size_t i = 0; i < s->length; i++)
        if (!s->results[i].done)
            test_fail("%s: call %zu was never made", p->doing, i);
}

void script_run(struct script *s)
{
    struct puppet *p = current_or_new();

    if (s->length == 0)
        return;
    script_start(p, s);
    script_finish(p, s);
}

uint64_t script_result(const struct script *s, size_t index)
{
    return s->results[index].value;
}

int script_errno(const struct script *s, size_t index)
{
    return s->results[index].error;
}

void script_clear(struct script *s)
{
    s->length = 0;
}
