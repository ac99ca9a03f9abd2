/* calls.c - calls to the functions of a contract, which a lab's stubs make
 * (stub.h): at once, begun and finished later, or recorded into a script.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "arena.h"
#include "callbacks.h"
#include "failure.h"
#include "frames.h"
#include "script.h"
#include "session.h"
#include "stub.h"
#include "support.h"

static void note_return(const struct puppet *p, uint64_t value, int error)
{
    char word[64];

    arena_describe(value, word, sizeof word);
    if (error)
        note_call("%s returned %s, errno %s", p->doing, word, error_name(error));
    else
        note_call("%s returned %s", p->doing, word);
}

/* Sends a call to the current puppet, and waits for its value unless begin()
 * comes first. */
static uint64_t send_call(enum frame_kind kind, const char *function, size_t nargs,
                          const uint64_t *args)
{
    struct frame request = {.kind = kind};
    struct puppet *p = current_or_new();

    puppet_expect_idle(p, function);
    strcpy(request.text, function);
    memcpy(request.words, args, nargs * sizeof *args);
    describe_call(p->doing, sizeof p->doing, function, nargs, args);
    arena_claim_inputs(p);
    puppet_send(p, &request, -1);
    if (p->beginning) {
        p->beginning = false;
        note_call("%s began", p->doing);
        return 0;
    }
    return finish_word(p);
}

uint64_t remote_call(const char *function, size_t nargs, const uint64_t *args)
{
    if (nargs > FRAME_WORDS || strlen(function) >= FRAME_TEXT_BYTES)
        testkit_broken("%s: a call has at most %d arguments", function, FRAME_WORDS);
    if (script_is_recording()) {
        script_append(function, nargs, args);
        return 0;
    }
    session.calls_begun = true;
    return send_call(FRAME_CALL, function, nargs, args);
}

uint64_t libc_call(const char *function, size_t nargs, const uint64_t *args)
{
    return send_call(FRAME_CALL_LIBC, function, nargs, args);
}

void *callback(struct puppet *p, callback_function *function, size_t nargs)
{
    struct frame request = {
        .kind = FRAME_ENTRY, .words = {callbacks_add(function, nargs)}, .text = "callback"};

    return (void *)puppet_request(p, &request, -1);
}

void puppet_begin(struct puppet *p)
{
    puppet_use(p);
    p->beginning = true;
}

void puppet_begun(void)
{
    struct puppet *p = puppet_current();

    if (p->beginning)
        testkit_broken("begin() needs a call to a function of the contract");
    process_activity(p->pid, &p->at_start);
}

uint64_t finish_word(struct puppet *p)
{
    uint64_t value;
    int error;

    if (!p->busy)
        testkit_broken("finish() without begin()");
    value = puppet_receive(p);
    error = errno;
    note_return(p, value, error);
    errno = error;
    return value;
}

int finish(struct puppet *p)
{
    return (int)finish_word(p);
}
