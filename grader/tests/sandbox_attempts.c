/* sandbox_attempts.c - tries what a sandbox must refuse, for test_sandbox.py.
 * Prints a line for each attempt: its name, and "done" or the error.  Calls of
 * the filter get arguments that the kernel itself would refuse with an error
 * other than EPERM, so that nothing happens if they do reach it.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { OPEN_TREE = 428, PIDFD_GETFD = 438, PROCESS_MADVISE = 440 };

static volatile int target = 1;

static void report(const char *name, long result)
{
    printf("%s %s\n", name, result >= 0 ? "done" : strerrorname_np(errno));
    fflush(stdout);
}

static long getpid_of_i386(void)
{
#ifdef __x86_64__
    long result = 20;

    __asm__ volatile("int $0x80" : "+a"(result) : : "memory", "r8", "r9", "r10", "r11");
    errno = -result;
    return result < 0 ? -1 : result;
#else
    errno = ENOSYS;
    return -1;
#endif
}

static void kernel_interfaces(void)
{
    report("io_uring_setup", syscall(SYS_io_uring_setup, 0, NULL));
    report("userfaultfd", syscall(SYS_userfaultfd, -1));
    report("perf_event_open", syscall(SYS_perf_event_open, NULL, 0, -1, -1, 0));
    report("bpf", syscall(SYS_bpf, -1, NULL, 0));
    report("keyctl", syscall(SYS_keyctl, -1));
    report("add_key", syscall(SYS_add_key, "user", "labkit", "x", 1, -1));
    report("vsock", syscall(SYS_socket, 40L, 1L, 0L));
    report("vsock_high_bits", syscall(SYS_socket, 1L << 32 | 40, 1L, 0L));
    report("other_abi", getpid_of_i386());
}

static void namespaces(void)
{
    static const struct {
        const char *name;
        int flag;
    } known[] = {{"mnt", CLONE_NEWNS},    {"cgroup", CLONE_NEWCGROUP},
                 {"uts", CLONE_NEWUTS},   {"ipc", CLONE_NEWIPC},
                 {"user", CLONE_NEWUSER}, {"pid", CLONE_NEWPID},
                 {"net", CLONE_NEWNET},   {"time", 0x80}};

    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        char name[32];

        /* CLONE_THREAD without CLONE_SIGHAND: EINVAL before anything happens. */
        snprintf(name, sizeof name, "unshare_%s", known[i].name);
        report(name, syscall(SYS_unshare, known[i].flag | 1));
        if (known[i].flag != 0x80) {
            snprintf(name, sizeof name, "clone_%s", known[i].name);
            report(name, syscall(SYS_clone, known[i].flag | CLONE_THREAD, NULL, NULL, NULL, 0));
        }
    }
    report("setns", syscall(SYS_setns, -1, 0));
    report("open_tree", syscall(OPEN_TREE, -1, "", 0));
}

static void forged_faults(void)
{
    siginfo_t fault = {.si_signo = SIGSEGV, .si_code = SEGV_MAPERR};
    int self = syscall(SYS_pidfd_open, getpid(), 0);
    sigset_t all;

    sigfillset(&all);
    sigprocmask(SIG_BLOCK, &all, NULL);
    report("rt_sigqueueinfo", syscall(SYS_rt_sigqueueinfo, getpid(), SIGSEGV, &fault));
    report("rt_tgsigqueueinfo",
           syscall(SYS_rt_tgsigqueueinfo, getpid(), gettid(), SIGSEGV, &fault));
    report("pidfd_send_signal", syscall(SYS_pidfd_send_signal, self, SIGSEGV, &fault, 0));
    close(self);
}

/* On a child, which has the same uid as every program of the sandbox. */
static void another_process(void)
{
    static char text[8];
    struct iovec own = {text, sizeof text}, theirs = {(void *)&target, sizeof target};
    struct rlimit none = {0, 0}, limit;
    char path[32];
    pid_t pid = fork();
    int pidfd, fd;

    if (pid == 0) {
        pause();
        _exit(0);
    }
    prctl(PR_SET_PTRACER, PR_SET_PTRACER_ANY);
    pidfd = syscall(SYS_pidfd_open, pid, 0);
    snprintf(path, sizeof path, "/proc/%d/mem", pid);
    fd = open(path, O_RDWR);
    report("proc_mem", fd < 0 ? -1 : pwrite(fd, "x", 1, (off_t)(uintptr_t)&target));
    report("process_vm_readv", process_vm_readv(pid, &own, 1, &theirs, 1, 0));
    report("process_vm_writev", process_vm_writev(pid, &own, 1, &theirs, 1, 0));
    report("pidfd_getfd", syscall(PIDFD_GETFD, pidfd, 0, 0));
    report("process_madvise", syscall(PROCESS_MADVISE, pidfd, &theirs, 1, MADV_COLD, 0));
    report("kcmp", syscall(SYS_kcmp, getpid(), pid, 0, 0, 0));
    report("prlimit", prlimit(pid, RLIMIT_CORE, &none, NULL));
    report("prlimit_read", prlimit(pid, RLIMIT_CORE, NULL, &limit));
    report("ptrace", ptrace(PTRACE_SEIZE, pid, NULL, NULL));
    kill(pid, SIGKILL);
}

/* What programs need, and a filter or Landlock could break. */
static void permitted(void)
{
    struct rlimit limit;

    report("own_prlimit", prlimit(0, RLIMIT_CORE, NULL, &limit) + setrlimit(RLIMIT_CORE, &limit));
    report("own_sigqueue", sigqueue(getpid(), SIGURG, (union sigval){.sival_int = 1}));
    report("dumpable", prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
}

int main(void)
{
    kernel_interfaces();
    namespaces();
    another_process();
    permitted();
    forged_faults();
    return 0;
}
