/* failure.c - the two ways in which a test does not pass (failure.h): the
 * submission is wrong, or the grader is broken.
 */
#include "failure.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "session.h"
#include "shared/exit_status.h"
#include "testkit.h"

enum { CALLS_SHOWN = 12 };

static char calls[CALLS_SHOWN][256];
static size_t ncalls;
static bool hang;

void failure_reset(void)
{
    ncalls = 0;
    hang = false;
}

void testkit_broken(const char *format, ...)
{
    va_list args;

    fflush(NULL);
    fprintf(stderr, "grader error: ");
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "\n");
    _exit(STATUS_GRADER_ERROR);
}

void test_fail(const char *format, ...)
{
    char text[2048];

    FORMAT_ARGUMENTS(text, format);
    print_error("[  ERROR   ] --- %s\n", text);
    _fail(session.test->file, session.test->line);
    abort(); /* _fail() does not return, but does not say so */
}

void failure_is_hang(void)
{
    hang = true;
}

bool failure_was_hang(void)
{
    return hang;
}

void wait_until_failed(const char *condition, const char *file, int line)
{
    failure_is_hang();
    print_error("ERROR: timed out waiting for %s\n", condition);
    _fail(file, line);
    abort();
}

void test_ran_out(const char *format, ...)
{
    char text[512];

    FORMAT_ARGUMENTS(text, format);
    if (!session.calls_begun)
        testkit_broken("%s", text);
    test_fail("the test ran out of resources because of the submission: %s", text);
}

void sandbox_spoiled(const char *format, ...)
{
    char text[512];

    FORMAT_ARGUMENTS(text, format);
    if (!session.calls_begun)
        testkit_broken("the sandbox does not work: %s", text);
    test_fail("the submission has spoiled the sandbox: %s", text);
}

void note_call(const char *format, ...)
{
    FORMAT_ARGUMENTS(calls[ncalls % CALLS_SHOWN], format);
    ncalls++;
}

void failure_explain(void)
{
    fprintf(stderr, "rule: %s\n", session.test->rule);
    if (ncalls > 0)
        fprintf(stderr, "calls of %s, the last ones:\n", session.test->name);
    for (size_t i = ncalls > CALLS_SHOWN ? ncalls - CALLS_SHOWN : 0; i < ncalls; i++)
        fprintf(stderr, "  %s\n", calls[i % CALLS_SHOWN]);
    if (session.seed_used)
        fprintf(stderr, "this run: --seed %llu\n", (unsigned long long)session.seed);
}
