/* control.c - the control page (control.h).
 *
 * A memfd of which the test has the only writable mapping there will ever be
 * (F_SEAL_FUTURE_WRITE), at the address at which puppets map it too.
 */
#include "control.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/futex.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "failure.h"
#include "testkit.h"

#ifndef F_SEAL_FUTURE_WRITE
#define F_SEAL_FUTURE_WRITE 0x0010
#endif

enum { SEALS = F_SEAL_FUTURE_WRITE | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL };

static int fd = -1;

/* For each answer the thread that it is for, and when it was given. */
static struct {
    uint32_t tid;
    unsigned given;
} owners[ANSWERS];

static void open_control(void)
{
    void *at;

    fd = memfd_create("control", MFD_CLOEXEC | MFD_ALLOW_SEALING);
    if (fd < 0 || ftruncate(fd, sizeof(struct control)) < 0)
        testkit_broken("cannot create the control page: %s", strerror(errno));
    at = mmap(CONTROL_ADDRESS, sizeof(struct control), PROT_READ | PROT_WRITE,
              MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 0);
    if (at != CONTROL_ADDRESS)
        testkit_broken("cannot map the control page at %p: %s", (void *)CONTROL_ADDRESS,
                       strerror(errno));
    if (fcntl(fd, F_ADD_SEALS, SEALS) < 0)
        testkit_broken("cannot seal the control page: %s", strerror(errno));
}

void control_reset(void)
{
    if (fd < 0)
        open_control();
    memset(CONTROL->armed, 0, sizeof CONTROL->armed);
    atomic_store(&CONTROL->nmarks, 0);
}

int control_fd(void)
{
    return fd;
}

void control_mark(enum mark_kind kind, size_t at, size_t bytes)
{
    unsigned n = atomic_load(&CONTROL->nmarks);

    if (n == MAX_MARKS)
        test_ran_out("there were more than %d pieces of arena", MAX_MARKS);
    CONTROL->marks[n] = (struct mark){.kind = kind, .at = at, .bytes = bytes};
    atomic_store(&CONTROL->nmarks, n + 1);
}

void control_arm(unsigned puppet, enum fault_call call, bool armed)
{
    atomic_store(&CONTROL->armed[puppet][call], armed);
}

void control_set_nargs(unsigned callback, unsigned nargs)
{
    atomic_store(&CONTROL->callback_nargs[callback], nargs);
}

/* The thread's last place, or the one that was used longest ago: a thread has
 * one question at a time, so it has read its last answer. */
static unsigned place_for(uint32_t tid)
{
    unsigned oldest = tid % ANSWERS;

    for (unsigned i = 0; i < ANSWER_PLACES; i++) {
        unsigned place = (tid + i) % ANSWERS;

        if (owners[place].tid == tid)
            return place;
        if (owners[place].given < owners[oldest].given)
            oldest = place;
    }
    return oldest;
}

void control_answer(uint32_t tid, uint64_t ticket, unsigned flags, int error, uint64_t value)
{
    static unsigned given;
    unsigned place = place_for(tid);
    struct answer *answer = &CONTROL->answers[place];

    owners[place].tid = tid;
    owners[place].given = ++given;
    answer->flags = flags;
    answer->error = error;
    answer->value = value;
    atomic_store(&answer->ticket, ticket);
    atomic_fetch_add(&CONTROL->answered, 1);
    syscall(SYS_futex, &CONTROL->answered, FUTEX_WAKE_BITSET, INT_MAX, NULL, NULL,
            1u << (tid % 32));
}
