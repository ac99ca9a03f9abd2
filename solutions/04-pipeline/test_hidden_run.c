/* test_hidden_run.c - hidden tests of the group "run": data. */
#include "test_hidden.h"

TEST(sixteen_megabytes_arrive_unchanged,
     "A block of 16 MB passes through three stages unchanged, byte for byte.")
{
    enum { SIZE_BYTES = 16 * 1024 * 1024 };
    uint64_t state = testkit_seed();
    uint64_t *data = malloc(SIZE_BYTES);

    if (data == NULL)
        testkit_broken("no memory");
    for (size_t i = 0; i < SIZE_BYTES / sizeof data[0]; i++)
        data[i] = random_next(&state);

    int in = file_new("in", data, SIZE_BYTES);
    int out = output_file();

    puppet_with_files(in, out);
    assert_pipeline_succeeds(PIPELINE(CMD("cat"), PROBE("pass"), CMD("cat")), IN, OUT);
    assert_int_equal(file_size(out), SIZE_BYTES);

    char *arrived = file_contents(out);

    if (memcmp(arrived, data, SIZE_BYTES) != 0)
        fail_msg("16 MB arrived, but they differ from the 16 MB that were sent");
    free(arrived);
    free(data);
}
