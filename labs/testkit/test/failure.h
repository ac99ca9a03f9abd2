/* failure.h - how a test fails, and what its failure shows (failure.c). */
#ifndef FAILURE_H
#define FAILURE_H

#include <stdbool.h>

/* Before each test. */
void failure_reset(void);

/* Fails the test, at the line of its TEST(): the submission is wrong. */
__attribute__((noreturn, format(printf, 1, 2))) void test_fail(const char *format, ...);

/* If this test fails, it is because the submission hangs (STATUS_HUNG). */
void failure_is_hang(void);
bool failure_was_hang(void);

/* The test took more of something than there is.  Once student code has run it
 * may have kept the test going, so that fails the test; before, the grader is
 * broken. */
__attribute__((noreturn, format(printf, 1, 2))) void test_ran_out(const char *format, ...);

/* Notes a call, or what came of it: a failure shows the last ones. */
void note_call(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Prints the rule, the calls noted, and the seed if the test used it. */
void failure_explain(void);

#endif
