/* fuzz_replies.c - the test's end of the wire against a puppet that answers
 * with anything: `fuzz_replies N SEED` makes N calls, and each answer is a
 * right one with random parts of it changed.
 *
 * Built with AddressSanitizer and UBSan from frames.c, calls.c, puppets.c and
 * what they need.  It stands in for cmocka and for the other parts of the kit,
 * so that a failed call can be caught and the next one made.  Ends with 0 when
 * exactly the right answers were taken for right ones.
 */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/channel.h"
#include "stub.h"
#include "support.h"
#include "test/arena.h"
#include "test/clock.h"
#include "test/failure.h"
#include "test/fork_server_client.h"
#include "test/progress.h"
#include "test/puppets.h"
#include "test/script.h"
#include "test/session.h"

struct session session = {.fork_server = -1, .cpu = -1};
static jmp_buf call_failed;
static int test_end; /* of the socket pair */
static pid_t puppet;

void test_fail(const char *format, ...)
{
    char text[4096];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args); /* the sanitizers read every argument */
    va_end(args);
    longjmp(call_failed, 1);
}

void test_ran_out(const char *format, ...)
{
    test_fail("%s", format);
}

void testkit_broken(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    exit(3);
}

void failure_is_hang(void)
{
}

void note_call(const char *format, ...)
{
    char text[4096];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
}

uint64_t now_ns(void)
{
    return 0;
}

uint64_t scaled_limit(unsigned limit)
{
    return limit;
}

bool nothing_can_run(struct progress *progress)
{
    (void)progress;
    return false;
}

bool fork_server_ask(struct frame *question, int give_fd, struct frame *answer, int *fd)
{
    (void)give_fd;
    if (question->kind != FRAME_START)
        return false;
    answer->words[0] = puppet;
    *fd = test_end;
    return true;
}

int arena_fd(void)
{
    return -1;
}

void arena_describe(uint64_t word, char *text, size_t size)
{
    snprintf(text, size, "%llu", (unsigned long long)word);
}

bool script_is_recording(void)
{
    return false;
}

void script_append(const char *function, size_t nargs, const uint64_t args[])
{
    (void)args;
    testkit_broken("no scripts here: %s, %zu", function, nargs);
}

static uint64_t random_state;

static uint64_t draw(uint64_t below)
{
    return (random_next(&random_state) >> 16) % below;
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
    struct frame question = {.kind = FRAME_HELLO};
    int fd;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    channel_send(socket, &question, -1);
    while (channel_receive(socket, &question, &fd) == sizeof question)
        *right += answer(socket, &question);
    _exit(0);
}

/* ---- the test -------------------------------------------------------------- */

STUB(int, increment, (int value), value)

static unsigned call(struct puppet *p, unsigned i)
{
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
    struct puppet *p;
    unsigned taken = 0;
    int ends[2], on = 1;

    random_state = argc > 2 ? strtoull(argv[2], NULL, 0) | 1 : 1;
    socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends);
    setsockopt(ends[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
    test_end = ends[0];
    puppet = fork();
    if (puppet == 0) {
        close(ends[0]);
        be_puppet(ends[1], right);
    }
    close(ends[1]);
    p = puppet_start();
    for (unsigned i = 0; i < calls; i++)
        taken += call(p, i);
    close(ends[0]);
    waitpid(puppet, NULL, 0);
    printf("%u calls, %u right answers, %u taken for right\n", calls, *right, taken);
    return taken == *right && taken > 0 && taken < calls ? 0 : 1;
}
