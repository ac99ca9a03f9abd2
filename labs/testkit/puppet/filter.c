/* filter.c - the system calls that a puppet refuses to student code (filter.h),
 * besides those that the sandbox refuses (grader/labkit/sandbox/seccomp.py).
 *
 * They would let it mislead the fork server and the test, which look at a puppet
 * from outside: ptrace, which the fork server itself uses (trap.c);
 * prctl(PR_SET_DUMPABLE), which hides a process from /proc; a queued SIGSEGV,
 * whose origin the sender makes up.  They fail with EPERM.
 */
#include "filter.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <valgrind/valgrind.h>

/* Any other architecture has a name in linux/audit.h, too. */
#if defined __x86_64__
#define OWN_ARCH AUDIT_ARCH_X86_64
#elif defined __aarch64__
#define OWN_ARCH AUDIT_ARCH_AARCH64
#endif

enum { X32_CALLS = 0x40000000 }; /* the same calls under other numbers, on x86-64 */

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define UNLESS(value, skip) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, skip)
#define RETURN(action) BPF_STMT(BPF_RET | BPF_K, action)
#define REFUSE RETURN(SECCOMP_RET_ERRNO | EPERM)

/* If the call has this number; if its argument (the low half) has this value, too. */
#define REFUSE_CALL(number) UNLESS(number, 1), REFUSE
#define REFUSE_ARGUMENT(number, argument, value)                                                   \
    UNLESS(number, 4), LOAD(args[argument]), UNLESS(value, 1), REFUSE, LOAD(nr)

bool filter_install(void)
{
    static struct sock_filter code[] = {
        LOAD(arch),
        UNLESS(OWN_ARCH, 1), /* another ABI has other numbers */
        BPF_STMT(BPF_JMP | BPF_JA, 1),
        REFUSE,
        LOAD(nr),
        BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, X32_CALLS, 0, 1),
        REFUSE,
        REFUSE_CALL(SYS_ptrace),
        REFUSE_ARGUMENT(SYS_prctl, 0, PR_SET_DUMPABLE),
        REFUSE_ARGUMENT(SYS_rt_sigqueueinfo, 1, SIGSEGV),
        REFUSE_ARGUMENT(SYS_rt_tgsigqueueinfo, 2, SIGSEGV),
        RETURN(SECCOMP_RET_ALLOW),
    };
    const struct sock_fprog program = {.len = sizeof code / sizeof *code, .filter = code};

    if (RUNNING_ON_VALGRIND)
        return true;
    return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
           prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}
