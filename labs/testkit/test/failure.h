/* failure.h - how a test fails, and what its failure shows (failure.c). */
#ifndef FAILURE_H
#define FAILURE_H

#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

/* In a function with variable arguments: formats those after `format` into an
 * array of char, cut off where it ends. */
#define FORMAT_ARGUMENTS(array, format)                                                            \
    do {                                                                                           \
        va_list arguments_;                                                                        \
                                                                                                   \
        va_start(arguments_, format);                                                              \
        vsnprintf(array, sizeof(array), format, arguments_);                                       \
        va_end(arguments_);                                                                        \
    } while (0)

/* Before each test. */
void failure_reset(void);

/* Fails the test, at the line of its TEST(): the submission is wrong. */
__attribute__((noreturn, format(printf, 1, 2))) void test_fail(const char *format, ...);

/* If this test fails, it is because the submission hangs (STATUS_HUNG). */
void failure_is_hang(void);
bool failure_was_hang(void);

/* The test used up the arena, the puppets or the like.  Once student code has
 * run, that fails the test, for it may have made the test continue without end;
 * before, it is a grader error. */
__attribute__((noreturn, format(printf, 1, 2))) void test_ran_out(const char *format, ...);

/* Notes a call or its return value; a failure shows the last ones. */
void note_call(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* Prints the rule, the calls noted, and the seed if the test used it. */
void failure_explain(void);

#endif
