/* stubs.c - the contract of target.h as the tests call it. */
#include "stub.h"
#include "target.h"

STUB(uint64_t, target_sum, (const uint8_t *data, size_t len_bytes), data, len_bytes)
STUB(size_t, target_fill, (uint8_t *out, size_t len_bytes, unsigned first), out, len_bytes, first)
