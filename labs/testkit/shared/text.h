/* text.h - text in fixed buffers, for both sides (text.c). */
#ifndef TEXT_H
#define TEXT_H

#include <stdbool.h>
#include <stddef.h>

/* Appends to a text in a buffer of size_bytes; text[0] is '\0' before the
 * first call.  A text that does not fit is cut off and ends with "..."; the
 * function then returns false, and does so for every later text as well. */
bool text_add(char *text, size_t size_bytes, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
