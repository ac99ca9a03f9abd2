/* assertions.c - failures that name the caller's line (support.h). */
#include <stdlib.h>

#include "failure.h"
#include "support.h"

static const char *caller_file;
static int caller_line;

void from_here(const char *file, int line)
{
    caller_file = file;
    caller_line = line;
}

void fail_call(const char *format, ...)
{
    char text[8192];

    FORMAT_ARGUMENTS(text, format);
    print_error("ERROR: %s\n", text);
    _fail(caller_file, caller_line);
    abort(); /* _fail() does not return, but does not say so */
}

void check_fails(long value, int error, const char *call, int expected, const char *file, int line)
{
    from_here(file, line);
    if (value != -1)
        fail_call("%s returned %ld; expected: -1 (%s)", call, value, error_name(expected));
    if (error != expected)
        fail_call("%s returned -1 (%s); expected: -1 (%s)", call, error_name(error),
                  error_name(expected));
}

void check_fails_with_null(const void *value, int error, const char *call, int expected,
                           const char *file, int line)
{
    from_here(file, line);
    if (value)
        fail_call("%s returned a pointer that is not NULL; expected: NULL (%s)", call,
                  error_name(expected));
    if (error != expected)
        fail_call("%s returned NULL (%s); expected: NULL (%s)", call, error_name(error),
                  error_name(expected));
}
