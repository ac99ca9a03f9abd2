/* nonce.c - random numbers from the kernel (nonce.h), fetched 32 at a time. */
#include "nonce.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "testkit.h"

uint64_t nonce_new(void)
{
    static uint64_t nonces[32];
    static size_t used = 32;

    if (used == 32) {
        if (getrandom(nonces, sizeof nonces, 0) != sizeof nonces)
            testkit_broken("getrandom: %s", strerror(errno));
        used = 0;
    }
    return nonces[used++];
}
