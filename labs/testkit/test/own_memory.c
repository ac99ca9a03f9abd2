/* own_memory.c - memory of the test process that lasts until the end of the
 * test (testkit.h): names, texts and expectations, which no puppet can reach.
 */
#include "own_memory.h"

#include <stdlib.h>
#include <string.h>

#include "testkit.h"

struct piece {
    struct piece *next;
    _Alignas(max_align_t) char bytes[];
};

static struct piece *pieces;

void *test_alloc(size_t size_bytes)
{
    struct piece *piece = calloc(1, sizeof *piece + size_bytes);

    if (!piece)
        testkit_broken("no memory for %zu bytes of a test", size_bytes);
    piece->next = pieces;
    pieces = piece;
    return piece->bytes;
}

void *test_copy(const void *bytes, size_t size_bytes)
{
    return memcpy(test_alloc(size_bytes), bytes, size_bytes);
}

char *test_string(const char *text)
{
    return test_copy(text, strlen(text) + 1);
}

void own_memory_free(void)
{
    while (pieces) {
        struct piece *piece = pieces;

        pieces = piece->next;
        free(piece);
    }
}
