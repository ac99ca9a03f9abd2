/* test_public.c - the test whose answer a student can look up. */
#include "target.h"
#include "testkit.h"

#include <string.h>

TEST(sum_of_one_two_three, "1 + 2 + 3 is 6.")
{
    uint8_t *data = arena_alloc("data", 3);

    memcpy(data, (uint8_t[]){1, 2, 3}, 3);
    assert_int_equal(target_sum(data, 3), 6);
}
