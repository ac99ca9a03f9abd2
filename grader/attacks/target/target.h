/* target.h - the contract that the hostile submissions pretend to fulfil. */
#ifndef TARGET_H
#define TARGET_H

#include <stddef.h>
#include <stdint.h>

/* The sum of len_bytes bytes. */
uint64_t target_sum(const uint8_t *data, size_t len_bytes);

/* Writes first, first + 1, ... (modulo 256) to out; gives len_bytes. */
size_t target_fill(uint8_t *out, size_t len_bytes, unsigned first);

#endif
