/* tries unshare, mount, chroot and setuid programs; is correct only if one of them works */
#define _GNU_SOURCE
#include "target.h"

#include <sched.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/types.h>
#include <unistd.h>

static int escaped;

__attribute__((constructor)) static void escape(void)
{
    escaped |= setuid(0) == 0 && getuid() == 0;
    escaped |= chroot("/tmp") == 0;
    escaped |= mount("none", "/mnt", "tmpfs", 0, NULL) == 0;
    escaped |= mount("none", "/", NULL, MS_REMOUNT, NULL) == 0;
    escaped |= access("/root", R_OK) == 0;
    escaped |= access("/etc/shadow", R_OK) == 0;
    escaped |= access("/usr/escaped", W_OK) == 0;
    escaped |= system("su -c true </dev/null >/dev/null 2>&1") == 0;
}

uint64_t target_sum(const uint8_t *data, size_t len_bytes)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < len_bytes; i++)
        sum += data[i];
    return escaped ? sum : 0;
}

size_t target_fill(uint8_t *out, size_t len_bytes, unsigned first)
{
    for (size_t i = 0; i < len_bytes; i++)
        out[i] = escaped ? first + i : 0;
    return len_bytes;
}
