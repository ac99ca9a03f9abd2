/* callbacks.c - functions in a puppet that the test serves (callbacks.h).
 *
 * Each number has an entry point, which passes its arguments on to the test
 * (test/callbacks.c) and returns what that answers.  The control page says how
 * many arguments there are; the registers of the others hold anything, and
 * Memcheck must not see them used.
 */
#include "callbacks.h"

#include "ask.h"

static uint64_t call_back(int number, const uint64_t arguments[])
{
    struct frame question = {.kind = FRAME_CALLBACK, .error = number};
    int nargs = atomic_load(&CONTROL->callback_nargs[number]);

    for (int i = 0; i < nargs && i < FRAME_WORDS; i++)
        question.words[i] = arguments[i];
    return ask(&question).value;
}

#define ENTRY(n)                                                                                   \
    static uint64_t entry_##n(uint64_t a, uint64_t b, uint64_t c, uint64_t d, uint64_t e,          \
                              uint64_t f)                                                          \
    {                                                                                              \
        return call_back(n, (const uint64_t[]){a, b, c, d, e, f});                                 \
    }

#define EACH_ENTRY(X)                                                                              \
    X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15)

EACH_ENTRY(ENTRY)

#define ADDRESS(n) entry_##n,

static uint64_t (*const entries[])(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t,
                                   uint64_t) = {EACH_ENTRY(ADDRESS)};

_Static_assert(sizeof entries / sizeof *entries == MAX_CALLBACKS, "an entry for each callback");

void *callback_entry(uint64_t number)
{
    return number < MAX_CALLBACKS ? (void *)entries[number] : NULL;
}
