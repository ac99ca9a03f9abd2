/* fuzz_replies.c - the test's end of the wire against a puppet that answers
 * with anything: `fuzz_replies N SEED` makes N calls, and each answer is a
 * right one with random parts of it changed.
 *
 * Built with AddressSanitizer and UBSan.  It stands in for cmocka and for the
 * parts of the kit that are not under test, so that a failed call can be
 * caught and the next one made.  Ends with 0 when exactly the right answers
 * were taken for right ones.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "channel.h"
#include "session.h"
#include "stub.h"

struct session session = {.stage = -1};
static jmp_buf call_failed;

void test_fail(const char *format, ...)
{
    char text[4096];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args); /* the sanitizers read every argument */
    va_end(args);
    longjmp(call_failed, 1);
}

void testkit_broken(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    exit(3);
}

uint64_t clock_ns(void)
{
    return 0;
}

bool box_stands_still(struct stillness *still)
{
    (void)still;
    return false;
}

uint64_t limit(unsigned seconds)
{
    return seconds;
}

bool stage_ask(struct frame *question, int give_fd, struct frame *answer, int *fd)
{
    (void)question;
    (void)give_fd;
    (void)answer;
    (void)fd;
    return false;
}

void arena_describe(uint64_t word, char *text, size_t size)
{
    snprintf(text, size, "%llu", (unsigned long long)word);
}

void *arena_alloc(const char *name, size_t size_bytes)
{
    testkit_broken("no arena here: %s, %zu", name, size_bytes);
}

char *arena_string(const char *text)
{
    testkit_broken("no arena here: %s", text);
}

void script_append(const char *function, size_t nargs, const uint64_t args[])
{
    (void)args;
    testkit_broken("no scripts here: %s, %zu", function, nargs);
}

void script_describe_progress(struct puppet *p)
{
    (void)p;
}

static uint64_t random_state;

static uint64_t draw(uint64_t below)
{
    random_state ^= random_state >> 12;
    random_state ^= random_state << 25;
    random_state ^= random_state >> 27;
    return (random_state * 0x2545f4914f6cdd1d >> 16) % below;
}

/* ---- the puppet ----------------------------------------------------------- */

enum { WRONG_BYTES = 600 };

/* Sends one answer; true when it is a right one. */
static bool answer(int socket, const struct frame *question)
{
    union {
        struct frame frame;
        unsigned char bytes[WRONG_BYTES];
    } out = {.frame = {.kind = FRAME_RETURNED, .nonce = question->nonce}};
    size_t size = sizeof out.frame;
    int fd = -1;

    out.frame.words[0] = question->words[0] + 1;
    switch (draw(8)) {
    case 0: /* any bytes at all */
        size = draw(WRONG_BYTES - 1) + 1;
        for (size_t i = 0; i < size; i++)
            out.bytes[i] = draw(256);
        break;
    case 1: /* some bits of the frame */
        for (int i = draw(4); i >= 0; i--)
            out.bytes[draw(sizeof out.frame)] ^= 1 << draw(8);
        break;
    case 2: /* another size */
        size = draw(WRONG_BYTES - 1) + 1;
        break;
    case 3: /* another kind, with text that has no end */
        out.frame.kind = draw(24);
        memset(out.frame.text, 'A', sizeof out.frame.text);
        break;
    case 4: /* the last call's answer */
        out.frame.nonce--;
        break;
    case 5: /* a descriptor with it */
        fd = 2;
        break;
    default:
        break;
    }
    if (fd >= 0 && size == sizeof out.frame) {
        channel_send(socket, &out.frame, fd);
        return false;
    }
    send(socket, out.bytes, size, MSG_NOSIGNAL);
    return size == sizeof out.frame && out.frame.nonce == question->nonce &&
           out.frame.kind == FRAME_RETURNED;
}

static void be_puppet(int socket, unsigned *right)
{
    struct frame question;
    int fd;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    while (channel_receive(socket, &question, &fd) == sizeof question)
        *right += answer(socket, &question);
    _exit(0);
}

/* ---- the test -------------------------------------------------------------- */

STUB(int, increment, (int value), value)

static unsigned call(unsigned i)
{
    struct puppet *p = session.test.current;

    p->busy = false;
    if (setjmp(call_failed))
        return 0;
    increment((int)i);
    return 1;
}

int main(int argc, char **argv)
{
    unsigned calls = argc > 1 ? atoi(argv[1]) : 1000;
    unsigned *right = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct timeval limit = {.tv_sec = 10};
    struct puppet *p = &session.test.puppets[0];
    unsigned taken = 0;
    int ends[2], on = 1;

    random_state = argc > 2 ? strtoull(argv[2], NULL, 0) | 1 : 1;
    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends);
    setsockopt(ends[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
    setsockopt(ends[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    p->pid = fork();
    if (p->pid == 0) {
        close(ends[0]);
        be_puppet(ends[1], right);
    }
    close(ends[1]);
    p->socket = ends[0];
    p->pidfd = syscall(SYS_pidfd_open, p->pid, 0);
    session.test.current = p;
    for (unsigned i = 0; i < calls; i++)
        taken += call(i);
    close(ends[0]);
    waitpid(p->pid, NULL, 0);
    printf("%u calls, %u right answers, %u taken for right\n", calls, *right, taken);
    return taken == *right && taken > 0 && taken < calls ? 0 : 1;
}
