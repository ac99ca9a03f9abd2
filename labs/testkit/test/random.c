/* random.c - random numbers for tests (testkit.h, support.h). */
#include <stdlib.h>
#include <string.h>

#include "shared/xorshift.h"
#include "support.h"

uint64_t random_next(uint64_t *state)
{
    if (*state == 0)
        *state = 1;
    return xorshift64star(state);
}

uint64_t random_below(uint64_t *state, uint64_t n)
{
    if (n == 0)
        testkit_broken("random_below: there is no number below 0");
    return random_next(state) % n;
}

uint64_t random_between(uint64_t *state, uint64_t low, uint64_t high)
{
    if (high < low)
        testkit_broken("random_between: %llu is more than %llu", (unsigned long long)low,
                       (unsigned long long)high);
    if (high - low == UINT64_MAX)
        return random_next(state);
    return low + random_below(state, high - low + 1);
}

static void swap(char *a, char *b, size_t size_bytes)
{
    for (size_t i = 0; i < size_bytes; i++) {
        char byte = a[i];

        a[i] = b[i];
        b[i] = byte;
    }
}

/* Fisher-Yates. */
void random_shuffle(uint64_t *state, void *items, size_t n, size_t item_bytes)
{
    char *at = items;

    for (size_t i = n; i > 1; i--)
        swap(at + (i - 1) * item_bytes, at + random_below(state, i) * item_bytes, item_bytes);
}

void random_fill(void *memory, size_t size_bytes, uint64_t seed)
{
    unsigned char *bytes = memory;
    uint64_t state = seed * 2 + 1;

    for (size_t i = 0; i < size_bytes; i++)
        bytes[i] = (unsigned char)(random_next(&state) >> 56);
}
