/* arena.h - the arena of the test that runs, for the other modules (arena.c);
 * tests have arena_alloc() and others in testkit.h.
 */
#ifndef ARENA_H
#define ARENA_H

#include <stddef.h>
#include <stdint.h>

void arena_open(void);
void arena_close(void);
int arena_fd(void);     /* the memfd, for a puppet; the arena keeps it */
void arena_check(void); /* fails the test when a red zone was written to */

/* "meta+0x10", "NULL", "-1", "4096", "0x7f...": a word as a reader wants it. */
void arena_describe(uint64_t word, char *text, size_t size);

#endif
