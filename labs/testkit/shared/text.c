/* text.c - text in fixed buffers (text.h). */
#include "text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool text_add(char *text, size_t size_bytes, const char *format, ...)
{
    size_t used = strlen(text);
    va_list args;
    int n;

    va_start(args, format);
    n = vsnprintf(text + used, size_bytes - used, format, args);
    va_end(args);
    if (n >= 0 && (size_t)n < size_bytes - used)
        return true;
    if (size_bytes > 3)
        strcpy(text + size_bytes - 4, "...");
    return false;
}
