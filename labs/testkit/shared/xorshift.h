/* xorshift.h - the random generator of both sides: xorshift64* (Vigna, 2016),
 * small and fast, never for secrets.
 */
#ifndef XORSHIFT_H
#define XORSHIFT_H

#include <stdint.h>

/* The next number; its upper bits are the better ones.  From state 0 only
 * zeros come. */
static inline uint64_t xorshift64star(uint64_t *state)
{
    uint64_t x = *state;

    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *state = x;
    return x * 0x2545f4914f6cdd1d;
}

#endif
