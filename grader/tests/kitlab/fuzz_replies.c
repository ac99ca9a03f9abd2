/* fuzz_replies.c - the test's end of the socket against a puppet whose replies
 * are damaged: `fuzz_replies N SEED` makes N calls, and each reply is a right
 * one with random parts of it changed.
 *
 * Built with AddressSanitizer and UBSan from frames.c, calls.c, puppets.c and
 * what they need.  This file replaces the other parts of the kit, so that it can
 * catch a failed call and make the next one.  Ends with 0 when
 * exactly the right replies were accepted.
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
#include "test/control.h"
#include "test/failure.h"
#include "test/fork_server_client.h"
#include "test/overwrite.h"
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

    FORMAT_ARGUMENTS(text, format); /* the sanitizers read every argument */
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

    FORMAT_ARGUMENTS(text, format);
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

bool fork_server_request(struct frame *request, int give_fd, struct frame *reply, int *fd)
{
    (void)give_fd;
    if (request->kind != FRAME_START)
        return false;
    reply->words[0] = puppet;
    *fd = test_end;
    return true;
}

uint64_t fork_server_ask(enum frame_kind kind, pid_t pid)
{
    testkit_broken("no traps here: %d, %d", kind, pid);
}

int arena_fd(void)
{
    return -1;
}

bool arena_has_traps(void)
{
    return false;
}

void arena_describe(uint64_t word, char *text, size_t size)
{
    snprintf(text, size, "%llu", (unsigned long long)word);
}

bool script_is_recording(void)
{
    return false;
}

void arena_check_unused(void)
{
}

void overwrite_results(void)
{
}

void overwrite_inputs(void)
{
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

/* Sends one reply; true when it is a right one. */
static bool send_reply(int socket, const struct frame *request)
{
    union {
        struct frame frame;
        unsigned char bytes[WRONG_BYTES];
    } out = {.frame = {.kind = FRAME_RETURNED, .nonce = request->nonce}};
    size_t size = sizeof out.frame;
    int fd = -1;

    out.frame.words[0] = request->words[0] + 1;
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
    case 4: /* the last call's reply */
        out.frame.nonce--;
        break;
    case 5: /* with a descriptor */
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
    if (size == sizeof out.frame && out.frame.kind == FRAME_ASK && out.frame.words[0] < FAULT_CALLS)
        return send_reply(socket, request); /* it is answered, and the reply is still due */
    return size == sizeof out.frame && out.frame.nonce == request->nonce &&
           out.frame.kind == FRAME_RETURNED;
}

static void be_puppet(int socket, unsigned *right)
{
    struct frame hello = {.kind = FRAME_HELLO}, request;
    int fd;

    prctl(PR_SET_PDEATHSIG, SIGKILL);
    channel_send(socket, &hello, -1);
    while (channel_receive(socket, &request, &fd) == sizeof request)
        *right += send_reply(socket, &request);
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
    control_reset();
    p = puppet_start();
    for (unsigned i = 0; i < calls; i++)
        taken += call(p, i);
    close(ends[0]);
    waitpid(puppet, NULL, 0);
    printf("%u calls, %u right replies, %u accepted\n", calls, *right, taken);
    return taken == *right && taken > 0 && taken < calls ? 0 : 1;
}
