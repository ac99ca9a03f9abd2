/* test_hidden.h - shared by the hidden tests of 01-buddy, test_hidden_GROUP.c.
 *
 * They rely on buddy.h alone: which half of a block is kept, and which of
 * several free blocks of the same size is taken, is the solution's choice.
 */
#ifndef TEST_HIDDEN_H
#define TEST_HIDDEN_H

#include "test_support.h"

static inline bool all_bytes_are(const char *memory, int value, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        if ((unsigned char)memory[i] != value)
            return false;
    return true;
}

#endif
