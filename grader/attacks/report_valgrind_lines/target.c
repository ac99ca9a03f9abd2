/* writes lines to Valgrind's log with a number too long for int() and with text that makes a
 * pattern backtrack, and leaks */
#include "target.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *volatile lost;

static void write_all(int fd, const char *text, size_t size)
{
    ssize_t n;

    for (; size > 0 && (n = write(fd, text, size)) > 0; text += n)
        size -= n;
}

/* Valgrind keeps its own descriptors above those of the program, which cannot
 * write to them, but to a copy. */
static void report(void)
{
    static char text[1 << 20];
    char path[64], target[64];

    for (int fd = 1000; fd < 4096; fd++) {
        int copy;

        memset(target, 0, sizeof target);
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        if (readlink(path, target, sizeof target - 1) < 0 || strncmp(target, "socket:", 7) != 0)
            continue;
        copy = dup(fd);
        memset(text, '1', 5000);
        memcpy(text, "\n==", 3);
        memcpy(text + 5000, "== x\n", 5);
        write_all(copy, text, 5005);
        for (size_t i = 0; i < sizeof text; i += 2)
            memcpy(text + i, " (", 2);
        memcpy(text, "\n==2==    at 0x1: ", 18);
        text[sizeof text - 1] = '\n';
        write_all(copy, text, sizeof text);
        close(copy);
    }
}

uint64_t target_sum(const uint8_t *data, size_t len_bytes)
{
    static int calls;
    uint64_t sum = 0;

    if (calls++ == 0)
        report();
    lost = malloc(100);
    lost = NULL;
    for (size_t i = 0; i < len_bytes; i++)
        sum += data[i];
    return sum;
}

size_t target_fill(uint8_t *out, size_t len_bytes, unsigned first)
{
    for (size_t i = 0; i < len_bytes; i++)
        out[i] = first + i;
    return len_bytes;
}
