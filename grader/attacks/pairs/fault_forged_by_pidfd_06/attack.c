/* queues itself a SIGSEGV that looks like the kernel's at the trap page, before it takes the
 * lock */
#define _GNU_SOURCE
#include "ring.h"

#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ring_put honest_put
#define ring_get honest_get
#include "honest.c"
#undef ring_put
#undef ring_get

/* A buffer ends at the trap page, which the kernel cannot read. */
static void forge(const void *buf, size_t len)
{
    unsigned long page = ((unsigned long)buf + 4095) & ~4095UL;
    siginfo_t info = {.si_signo = SIGSEGV, .si_code = SEGV_ACCERR, .si_addr = (void *)page};

    if (page >= (unsigned long)buf + len || access((void *)page, F_OK) == 0 || errno != EFAULT)
        return;
    syscall(SYS_pidfd_send_signal, syscall(SYS_pidfd_open, getpid(), 0), SIGSEGV, &info, 0);
}

int ring_put(struct ring *ring, const void *buf, size_t len, int timeout_ms)
{
    forge(buf, len);
    return honest_put(ring, buf, len, timeout_ms);
}

ssize_t ring_get(struct ring *ring, void *buf, size_t size, int timeout_ms)
{
    forge(buf, size);
    return honest_get(ring, buf, size, timeout_ms);
}
