/* memory.c - the arena in a puppet (memory.h).
 *
 * The test creates the arena (test/arena.c) and describes each piece by a mark
 * in the control page.  Memcheck only sees one large mapping, so the marks also
 * tell it which bytes are accessible and which are defined.
 */
#include "memory.h"

#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <valgrind/memcheck.h>

#include "valgrind_log.h"
#include "wrappers.h"

static int arena_fd = -1; /* for forked children; -1 in them */
static struct slot *slot;

/* An access to a trap page parks the puppet, with every lock that it holds,
 * until the test kills it or releases it.  Any other fault ends the process as
 * it would without this handler. */
static void on_segv(int signal, siginfo_t *info, void *context)
{
    uintptr_t at = (uintptr_t)info->si_addr - (uintptr_t)ARENA_ADDRESS;
    unsigned n = atomic_load(&CONTROL->nmarks);

    (void)context;
    for (unsigned i = 0; i < n && i < MAX_MARKS; i++) {
        const struct mark *mark = &CONTROL->marks[i];

        if (mark->kind != MARK_TRAP || at < mark->at || at - mark->at >= mark->bytes)
            continue;
        park(&slot->trapped, NULL);
        mprotect(ARENA_ADDRESS + mark->at, mark->bytes, PROT_READ | PROT_WRITE);
        return;
    }
    struct sigaction fatal = {.sa_handler = SIG_DFL};
    sigaction(signal, &fatal, NULL);
}

static void catch_traps(void)
{
    static char stack[65536];
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
    struct sigaction action = {.sa_sigaction = on_segv, .sa_flags = SA_SIGINFO | SA_ONSTACK};

    sigfillset(&action.sa_mask);
    sigdelset(&action.sa_mask, SIGSEGV);
    sigaltstack(&alternate, NULL);
    sigaction(SIGSEGV, &action, NULL);
}

void memory_ignore_traps(void)
{
    signal(SIGSEGV, SIG_DFL);
}

void apply_marks(void)
{
    static unsigned applied;
    unsigned n = atomic_load(&CONTROL->nmarks);

    for (; applied < n && applied < MAX_MARKS; applied++) {
        const struct mark mark = CONTROL->marks[applied];
        char *at = ARENA_ADDRESS + mark.at;

        if (mark.kind == MARK_TRAP)
            mprotect(at, mark.bytes, PROT_NONE);
        else if (mark.kind == MARK_UNDEFINED)
            (void)VALGRIND_MAKE_MEM_UNDEFINED(at, mark.bytes);
        else
            (void)VALGRIND_MAKE_MEM_DEFINED(at, mark.bytes);
    }
}

/* In a forked child.  After fork() a child has its own copy of memory, and the
 * arena stands for the caller's variables: `status[i] = fork()` must not write
 * the child's 0 where the parent reads.  The control page is the kit's and stays
 * shared, so that a child's calls are counted and can fail. */
static void make_arena_private(void)
{
    log_leaks(false);
    if (arena_fd < 0)
        return; /* the child of a child: its copy is private already */
    syscall(SYS_mmap, ARENA_ADDRESS + sizeof(struct control), ARENA_BYTES - sizeof(struct control),
            PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, arena_fd, sizeof(struct control));
    syscall(SYS_close, arena_fd);
    arena_fd = -1;
}

bool memory_open(int fd, struct slot *own_slot)
{
    char *arena = mmap(ARENA_ADDRESS, ARENA_BYTES, PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 0);

    arena_fd = fcntl(fd, F_DUPFD_CLOEXEC, OWN_FDS);
    close(fd);
    if (arena != ARENA_ADDRESS || arena_fd < 0 ||
        pthread_atfork(NULL, NULL, make_arena_private) != 0)
        return false;
    slot = own_slot;
    (void)VALGRIND_MAKE_MEM_NOACCESS(arena + sizeof(struct control),
                                     ARENA_BYTES - sizeof(struct control));
    catch_traps();
    return true;
}
