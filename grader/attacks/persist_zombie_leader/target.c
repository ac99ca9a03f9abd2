/* leaves a daemon that looks like a zombie: its first thread has ended, another runs */
#define _GNU_SOURCE
#include "target.h"

#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void *stay(void *nothing)
{
    for (;;)
        pause();
    return nothing;
}

uint64_t target_sum(const uint8_t *data, size_t len_bytes)
{
    static int started;
    uint64_t sum = 0;

    if (!started++) {
        pid_t child = fork();

        if (child == 0) {
            pid_t daemon = fork();
            pthread_t thread;

            if (daemon == 0) {
                setsid();
                pthread_create(&thread, NULL, stay, NULL);
                syscall(SYS_exit, 0);
            }
            _exit(0);
        }
        waitpid(child, NULL, 0);
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
