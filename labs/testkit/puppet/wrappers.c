/* wrappers.c - calls to libc that ask the test before they are made.
 *
 * Theory of operation.  The puppet executable defines these functions over libc's
 * (wrap_*.c), and the dynamic linker finds the executable's first: what a
 * submission calls comes through here.  Where the control page says that a call is
 * armed, the wrapper asks (ask.c) and is told to pass it on, to fail with an
 * errno, to transfer less, to ask again after the call; the test lets it wait by
 * answering later.  Forked children ask as well.  The test counts and decides, so
 * that a submission which overwrites anything here can only avoid questions
 * (test/decisions.c).
 *
 * Calls within libc (popen, system, fopen) and raw system calls do not come
 * through here, but libc's own allocations do: allocation_asks().
 */
#include "wrappers.h"

#include <unistd.h>

#include "ask.h"
#include "valgrind_log.h"
#include "wrap.h"

static atomic_uchar *_Atomic armed; /* flags by enum fault_call; NULL: none is armed */
static pid_t puppet;                /* the process that armed them */

static struct {
    uintptr_t start, end;
} submission;

/* Provided by the linker. */
__attribute__((visibility("hidden"))) extern const char __executable_start[], etext[];

void faults_arm(unsigned number)
{
    puppet = getpid();
    armed = CONTROL->armed[number];
}

void faults_disarm(void)
{
    armed = NULL;
}

void faults_submission_at(uintptr_t start, uintptr_t end)
{
    submission.start = start;
    submission.end = end;
}

/* A function of the submission that ends with `return malloc(n)` may jump there;
 * the return address is then its caller's, in the request loop. */
static bool is_in_submission(uintptr_t at)
{
    return (at >= submission.start && at < submission.end) ||
           (at >= (uintptr_t)__executable_start && at < (uintptr_t)etext);
}

bool allocation_asks(const void *return_address)
{
    atomic_uchar *flags = armed;

    return flags && (atomic_load(&flags[FAULT_MALLOC]) || atomic_load(&flags[HEAP_ALLOCATED])) &&
           is_in_submission((uintptr_t)return_address);
}

bool in_armed_child(void)
{
    return armed && getpid() != puppet;
}

static struct reply ask_about(enum fault_call call, enum ask_phase phase)
{
    struct frame question = {.kind = FRAME_ASK, .words = {call, phase}};

    return ask(&question);
}

void count_block(enum fault_call change)
{
    atomic_uchar *flags = armed;

    if (flags && atomic_load(&flags[change]))
        ask_about(change, ASK_BEFORE);
}

/* Leaks are not reported by a process that the call creates, however it does
 * that: vfork(), _Fork() and posix_spawn() run no handler of pthread_atfork(). */
struct decision enter(enum fault_call call)
{
    /* Read once: a thread may be here when the call returns and disarms. */
    atomic_uchar *flags = armed;
    struct decision decision = {.call = call, .at_most = SIZE_MAX};

    if (!flags)
        return decision;
    if (atomic_load(&flags[call])) {
        struct reply reply = ask_about(call, ASK_BEFORE);

        decision.error = reply.flags & ANSWER_FAIL ? reply.error : 0;
        decision.ask_after = reply.flags & ANSWER_ASK_AFTER;
        if (reply.flags & ANSWER_SHORT)
            decision.at_most = reply.value;
        else
            decision.address = (void *)reply.value;
    }
    if (!decision.error && (call == FAULT_FORK || call == FAULT_SPAWN)) {
        decision.parent = getpid();
        log_leaks(false);
    }
    return decision;
}

void leave(const struct decision *decision)
{
    if (decision->parent != 0 && decision->parent == getpid())
        log_leaks(true);
    if (decision->ask_after)
        ask_about(decision->call, ASK_AFTER);
}
