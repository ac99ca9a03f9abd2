/* script.c - many calls in one frame, so that a hundred thousand of them cost
 * what the student's code costs.  The calls lie in the arena; the results are
 * copied out once, and judged on the copy.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "session.h"

struct script {
    struct script_call *calls;  /* in the arena */
    struct script_call *results; /* the test's own copy */
    size_t length, max;
    struct script *next;
};

static struct script *scripts;

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
}

void script_begin(struct script *s)
{
    session.test.recording = s;
}

void script_append(const char *function, size_t nargs, const uint64_t args[])
{
    struct script *s = session.test.recording;
    struct script_call *call;

    if (s->length == s->max)
        testkit_broken("the script holds only %zu calls", s->max);
    call = &s->calls[s->length++];
    *call = (struct script_call){0};
    snprintf(call->function, sizeof call->function, "%s", function);
    memcpy(call->words, args, nargs * sizeof *args);
}

size_t script_end(struct script *s)
{
    session.test.recording = NULL;
    return s->length - 1;
}

void *script_value(const struct script *s, size_t index)
{
    if (index >= s->length)
        testkit_broken("the script has no call %zu yet", index);
    return (void *)(SCRIPT_VALUE_TAG | index);
}

/* The call in which the puppet is, for a message if it ends there. */
static void describe_progress(const struct script *s, struct puppet *p)
{
    snprintf(p->doing, sizeof p->doing, "a script of %zu calls, beginning with %s()", s->length,
             s->calls[0].function);
}

void script_start(struct puppet *p, struct script *s)
{
    struct frame question = {.kind = FRAME_SCRIPT, .words = {(uintptr_t)s->calls, s->length}};

    session.calls_begun = true;
    snprintf(question.text, sizeof question.text, "script_run");
    describe_progress(s, p);
    puppet_tell(p, &question, -1);
}

void script_finish(struct puppet *p, struct script *s)
{
    puppet_await(p);
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

size_t script_length(const struct script *s)
{
    return s->length;
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
