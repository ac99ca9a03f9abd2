/* driver.c - runs a fuzz target without libFuzzer: on the files that are named, or,
 * as `driver -N SEED`, on N random inputs.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "shared/xorshift.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MAX_INPUT_BYTES = 4096, MAX_RANDOM_BYTES = 64 };

static void run_file(const char *path)
{
    uint8_t data[MAX_INPUT_BYTES];
    FILE *file = fopen(path, "rb");
    size_t size;

    if (!file) {
        perror(path);
        exit(2);
    }
    size = fread(data, 1, sizeof data, file);
    fclose(file);
    fprintf(stderr, "%s\n", path); /* the last line before a report names its input */
    LLVMFuzzerTestOneInput(data, size);
}

static void run_random(unsigned long inputs, uint64_t state)
{
    while (inputs-- > 0) {
        uint8_t data[MAX_RANDOM_BYTES];
        size_t size = (xorshift64star(&state) >> 33) % sizeof data;

        for (size_t i = 0; i < size; i++)
            data[i] = xorshift64star(&state) >> 56;
        LLVMFuzzerTestOneInput(data, size);
    }
}

int main(int argc, char **argv)
{
    if (argc == 3 && argv[1][0] == '-') {
        run_random(strtoul(argv[1] + 1, NULL, 10), strtoull(argv[2], NULL, 10));
        return 0;
    }
    for (int i = 1; i < argc; i++)
        run_file(argv[i]);
    return 0;
}
