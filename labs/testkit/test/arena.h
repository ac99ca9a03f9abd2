/* arena.h - the arena of the current test, for the other modules (arena.c).
 * Tests use arena_alloc() and others in testkit.h.
 */
#ifndef ARENA_H
#define ARENA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void arena_open(void);
void arena_close(void);
int arena_fd(void); /* the memfd, for a puppet; the arena keeps it */
bool arena_has_traps(void);
void arena_check(void); /* fails the test when a red zone was written to */
/* Fails the test when the memory behind all blocks was written to: all puppets
 * share it, and processes that share nothing but a name must not. */
void arena_check_unused(void);

/* What no test may rely on any more gets other bytes (overwrite.c).  An input is
 * for the next call, of a puppet or in a script, that is its owner. */
size_t arena_new_input_bytes(uint64_t address); /* of an input without owner; else 0 */
void arena_claim_inputs(const void *owner);
void arena_overwrite_inputs(const void *owner);
void arena_overwrite_results(void);

/* Writes a word in its most readable form: "meta+0x10", "-1", "4096",
 * "0x7f...". */
void arena_describe(uint64_t word, char *text, size_t size);

#endif
