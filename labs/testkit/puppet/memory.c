/* memory.c - the arena in a puppet (memory.h).
 *
 * The test creates the arena (test/arena.c) and describes each piece by a mark
 * in the control page.  Memcheck only sees one large mapping, so the marks also
 * tell it which bytes are accessible and which are defined.  What happens at a
 * trap page is the fork server's business (trap.c).
 */
#include "memory.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <valgrind/memcheck.h>

#include "shared/wire.h"
#include "valgrind_log.h"

static int arena_fd = -1; /* for forked children; -1 in them */
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
 * the child's 0 where the parent reads. */
static void make_arena_private(void)
{
    log_leaks(false);
    if (arena_fd < 0)
        return; /* the child of a child: its copy is private already */
    syscall(SYS_mmap, ARENA_ADDRESS, ARENA_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED,
            arena_fd, 0);
    syscall(SYS_close, arena_fd);
    arena_fd = -1;
}

bool memory_open(int fd)
{
    char *arena = mmap(ARENA_ADDRESS, ARENA_BYTES, PROT_READ | PROT_WRITE,
                       MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 0);

    arena_fd = fcntl(fd, F_DUPFD_CLOEXEC, OWN_FDS);
    close(fd);
    if (arena != ARENA_ADDRESS || arena_fd < 0 ||
        pthread_atfork(NULL, NULL, make_arena_private) != 0)
        return false;
    (void)VALGRIND_MAKE_MEM_NOACCESS(arena, ARENA_BYTES);
    return true;
}
