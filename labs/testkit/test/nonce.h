/* nonce.h - random numbers from the kernel that no submission can guess. */
#ifndef NONCE_H
#define NONCE_H

#include <stdint.h>

uint64_t nonce_new(void);

#endif
