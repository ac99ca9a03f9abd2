/* trap.c - stops puppets at trap pages (trap.h).
 *
 * Theory of operation.  The fork server traces a puppet (ptrace).  An access to a
 * page without permissions raises SIGSEGV; the kernel stops the thread before
 * the signal is delivered and says who raised it and for which address.  When
 * that is the kernel itself and a trap page, the thread stays stopped until the
 * test kills or releases it.  So it is the kernel that says where a puppet
 * stands; nothing in the puppet takes part, whatever its signal handlers and
 * masks are.  All other signals are passed on.
 *
 * To release a puppet, the fork server makes the stopped thread call mprotect()
 * on the page, and gives it back its registers: it then repeats the access.
 */
#include "trap.h"

#include <elf.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>

#include "shared/wire.h"

struct traced {
    pid_t pid;        /* 0: this entry is free */
    const char *page; /* where it is stopped, or NULL */
    size_t bytes;
};
static struct traced all[MAX_PUPPETS];

static struct traced *find(pid_t pid)
{
    for (size_t i = 0; i < MAX_PUPPETS; i++)
        if (all[i].pid == pid)
            return &all[i];
    return NULL;
}

int trap_trace(pid_t puppet)
{
    struct traced *t = find(puppet) ? find(puppet) : find(0);

    if (!t || t->pid == puppet)
        return 0;
    if (ptrace(PTRACE_SEIZE, puppet, NULL, PTRACE_O_EXITKILL) < 0)
        return -1;
    *t = (struct traced){.pid = puppet};
    return 0;
}

/* The mark of the trap page that holds an address, or NULL. */
static const struct mark *trap_at(const void *address)
{
    uintptr_t at = (uintptr_t)address - (uintptr_t)ARENA_ADDRESS;
    unsigned n = atomic_load(&CONTROL->nmarks);

    for (unsigned i = 0; i < n && i < MAX_MARKS; i++) {
        const struct mark *mark = &CONTROL->marks[i];

        if (mark->kind == MARK_TRAP && at >= mark->at && at - mark->at < mark->bytes)
            return mark;
    }
    return NULL;
}

/* si_code > 0: the kernel raised it.  A puppet cannot queue such a SIGSEGV
 * (filter.c). */
static bool is_at_trap(struct traced *t)
{
    const struct mark *mark;
    siginfo_t info;

    if (ptrace(PTRACE_GETSIGINFO, t->pid, NULL, &info) < 0 || info.si_code <= 0)
        return false;
    mark = trap_at(info.si_addr);
    if (!mark)
        return false;
    t->page = ARENA_ADDRESS + mark->at;
    t->bytes = mark->bytes;
    return true;
}

/* status: si_status of a stop, a signal and perhaps an event of ptrace. */
static void handle_stop(struct traced *t, int status)
{
    int signal = status & 0xff;
    bool is_event = status >> 8 != 0;
    bool stops_group =
        signal == SIGSTOP || signal == SIGTSTP || signal == SIGTTIN || signal == SIGTTOU;

    if (is_event)
        ptrace(stops_group ? PTRACE_LISTEN : PTRACE_CONT, t->pid, NULL, 0);
    else if (signal != SIGSEGV || !is_at_trap(t))
        ptrace(PTRACE_CONT, t->pid, NULL, (long)signal);
}

void trap_handle_stops(void)
{
    for (size_t i = 0; i < MAX_PUPPETS; i++) {
        siginfo_t info = {0};

        while (all[i].pid != 0 && !all[i].page &&
               waitid(P_PID, all[i].pid, &info, WSTOPPED | WNOHANG) == 0 && info.si_pid != 0) {
            handle_stop(&all[i], info.si_status);
            info.si_pid = 0;
        }
    }
}

bool trap_holds(pid_t puppet)
{
    const struct traced *t = find(puppet);

    return t && t->page;
}

void trap_forget(pid_t puppet)
{
    struct traced *t = find(puppet);

    if (t)
        *t = (struct traced){0};
}

/* ---- release ------------------------------------------------------------------ */

#if defined __x86_64__

/* In the puppet's executable as well, at the same address: one system call. */
void one_system_call(void);
__asm__(".text\none_system_call:\nsyscall\nint3\n");

static void set_call(struct user_regs_struct *r, const struct traced *t)
{
    r->rip = (uintptr_t)one_system_call;
    r->rax = SYS_mprotect;
    r->orig_rax = -1; /* no system call to restart */
    r->rdi = (uintptr_t)t->page;
    r->rsi = t->bytes;
    r->rdx = PROT_READ | PROT_WRITE;
}

static bool call_succeeded(const struct user_regs_struct *r)
{
    return r->rax == 0;
}

#elif defined __aarch64__

void one_system_call(void);
__asm__(".text\none_system_call:\nsvc #0\nbrk #0\n");

static void set_call(struct user_regs_struct *r, const struct traced *t)
{
    r->pc = (uintptr_t)one_system_call;
    r->regs[8] = SYS_mprotect;
    r->regs[0] = (uintptr_t)t->page;
    r->regs[1] = t->bytes;
    r->regs[2] = PROT_READ | PROT_WRITE;
}

static bool call_succeeded(const struct user_regs_struct *r)
{
    return r->regs[0] == 0;
}

#endif

static int access_registers(int request, pid_t pid, struct user_regs_struct *registers)
{
    struct iovec all_of_them = {registers, sizeof *registers};

    return ptrace(request, pid, NT_PRSTATUS, &all_of_them);
}

/* Waits until a puppet stops again; returns the signal, or -1 when it has died,
 * which is left for the fork server to wait for. */
static int next_stop(pid_t pid)
{
    siginfo_t info;

    if (waitid(P_PID, pid, &info, WSTOPPED | WEXITED | WNOWAIT) < 0 ||
        (info.si_code != CLD_TRAPPED && info.si_code != CLD_STOPPED) ||
        waitid(P_PID, pid, &info, WSTOPPED) < 0)
        return -1;
    return info.si_status;
}

/* Executes one instruction.  A signal that comes first is sent again. */
static int step(pid_t pid)
{
    int stop = 0;

    do {
        if (stop != 0 && stop >> 8 == 0)
            kill(pid, stop);
        if (ptrace(PTRACE_SINGLESTEP, pid, NULL, 0) < 0)
            return -1;
        stop = next_stop(pid);
    } while (stop > 0 && stop != SIGTRAP);
    return stop < 0 ? -1 : 0;
}

static int make_accessible(const struct traced *t)
{
    struct user_regs_struct before, call, after;

    if (access_registers(PTRACE_GETREGSET, t->pid, &before) < 0)
        return -1;
    call = before;
    set_call(&call, t);
    if (access_registers(PTRACE_SETREGSET, t->pid, &call) < 0 || step(t->pid) < 0 ||
        access_registers(PTRACE_GETREGSET, t->pid, &after) < 0)
        return -1;
    if (!call_succeeded(&after)) {
        errno = EFAULT;
        return -1;
    }
    return access_registers(PTRACE_SETREGSET, t->pid, &before);
}

int trap_release(pid_t puppet)
{
    struct traced *t = find(puppet);

    if (!t || !t->page)
        return 0;
    if (make_accessible(t) < 0)
        return -1;
    t->page = NULL;
    return ptrace(PTRACE_CONT, puppet, NULL, 0);
}
