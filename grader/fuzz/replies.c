/* replies.c - a fuzz target: the test's end of a puppet's socket, with whatever a
 * puppet can send.
 *
 * An input is a list of calls, each with the messages that the puppet sends before
 * the test waits for the reply: right ones, and ones of any size, kind, nonce and
 * content, with descriptors, or from another process.  A call must succeed exactly
 * when the first message that is no question is its reply; the sanitizers judge
 * the rest.  This file replaces the parts of the kit that frames.c does not need.
 *
 * Partners: libFuzzer (make fuzz), or driver.c (grader/tests/test_fuzz_replies.py).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "shared/channel.h"
#include "stub.h"
#include "support.h"
#include "test/arena.h"
#include "test/callbacks.h"
#include "test/clock.h"
#include "test/control.h"
#include "test/decisions.h"
#include "test/failure.h"
#include "test/fork_server_client.h"
#include "test/overwrite.h"
#include "test/progress.h"
#include "test/puppets.h"
#include "test/script.h"
#include "test/session.h"

enum { MAX_MESSAGES = 64, MAX_MESSAGE_BYTES = 600, MAX_FDS = 256 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct session session = {.fork_server = -1, .cpu = -1, .sandbox = 1};
static jmp_buf call_failed;
static int test_end, puppet_end_of_it; /* of the socket pair */

/* ---- in place of the other parts of the kit ----------------------------------- */

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
    abort();
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
    static uint64_t now;

    return now += 1000; /* so that every pause ends */
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
    reply->words[0] = getpid();
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

void arena_check_unused(void)
{
}

void overwrite_results(void)
{
}

void arena_claim_inputs(const void *owner)
{
    (void)owner;
}

void arena_overwrite_inputs(const void *owner)
{
    (void)owner;
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

/* ---- the input ------------------------------------------------------------------ */

struct input {
    const uint8_t *at, *end;
};

static unsigned next_byte(struct input *in)
{
    return in->at < in->end ? *in->at++ : 0;
}

static unsigned next_number(struct input *in)
{
    unsigned high = next_byte(in);

    return high << 8 | next_byte(in);
}

/* ---- the puppet's messages -------------------------------------------------------- */

/* What a message is to the test. */
enum meaning { QUESTION, BAD_QUESTION, REPLY, OTHER };

struct sent {
    enum meaning meaning;
    struct frame frame;
};
static struct sent sent[MAX_MESSAGES]; /* and not received yet */
static size_t nsent, nreceived;
static bool sender_is_right;

struct outgoing {
    union {
        struct frame frame;
        uint8_t bytes[MAX_MESSAGE_BYTES];
    };
    size_t size;
    unsigned nfds;
};

enum operation { RIGHT, KIND, BYTES, PATCH, SIZE, DESCRIPTORS, ASK, CALLBACK, OPERATIONS };

static struct outgoing build_message(struct input *in, unsigned operation, uint64_t nonce)
{
    struct outgoing out = {.size = sizeof(struct frame)};

    out.frame.kind = FRAME_RETURNED;
    out.frame.nonce = nonce;
    out.frame.error = next_byte(in);
    out.frame.words[0] = next_byte(in);
    switch (operation) {
    case KIND: /* with text that has no end */
        out.frame.kind = next_byte(in);
        memset(out.frame.text, 'A', sizeof out.frame.text);
        break;
    case BYTES:
        out.size = next_number(in) % MAX_MESSAGE_BYTES;
        for (size_t i = 0; i < out.size; i++)
            out.bytes[i] = next_byte(in);
        break;
    case PATCH:
        for (unsigned n = next_byte(in) % 4; n > 0; n--) {
            unsigned at = next_byte(in) % sizeof out.frame;

            out.bytes[at] = next_byte(in);
        }
        break;
    case SIZE:
        out.size = next_number(in) % MAX_MESSAGE_BYTES;
        break;
    case DESCRIPTORS:
        out.nfds = next_byte(in) % 4;
        break;
    case ASK:
        out.frame.kind = FRAME_ASK;
        out.frame.words[0] = next_byte(in);
        out.frame.words[1] = next_byte(in) % 2;
        out.frame.tid = next_number(in);
        break;
    case CALLBACK:
        out.frame.kind = FRAME_CALLBACK;
        out.frame.error = (int)next_byte(in) - 1;
        break;
    default:
        break;
    }
    return out;
}

static enum meaning meaning_of(const struct outgoing *out)
{
    const struct frame *frame = &out->frame;

    if (out->size != sizeof *frame || out->nfds > 0)
        return OTHER;
    if (frame->kind == FRAME_ASK)
        return (uint32_t)frame->words[0] < FAULT_CALLS ? QUESTION : BAD_QUESTION;
    if (frame->kind == FRAME_CALLBACK)
        return frame->error == 0 && sender_is_right ? QUESTION : BAD_QUESTION;
    return frame->kind == FRAME_RETURNED && sender_is_right ? REPLY : OTHER;
}

static void send_message(const struct outgoing *out)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(3 * sizeof(int))];
    } control = {0};
    struct iovec part = {.iov_base = (void *)out->bytes, .iov_len = out->size};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};

    if (out->nfds > 0) {
        const int fds[3] = {2, 2, 2};
        struct cmsghdr *header;

        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(out->nfds * sizeof(int));
        header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(out->nfds * sizeof(int));
        memcpy(CMSG_DATA(header), fds, out->nfds * sizeof(int));
    }
    if (nsent == MAX_MESSAGES || sendmsg(puppet_end_of_it, &message, MSG_DONTWAIT) < 0)
        return;
    sent[nsent++] = (struct sent){meaning_of(out), out->frame};
}

/* ---- one call ----------------------------------------------------------------------- */

STUB(int, increment, (int value), value)

/* Whether the call must, may, or must not succeed, and with which reply. */
enum verdict { MUST_FAIL, MAY_PASS, MUST_PASS };

static enum verdict expected(uint64_t nonce, struct frame *reply)
{
    size_t first = nreceived;

    while (first < nsent && sent[first].meaning == QUESTION)
        first++;
    if (first == nsent || sent[first].meaning != REPLY || sent[first].frame.nonce != nonce)
        return MUST_FAIL;
    *reply = sent[first].frame;
    nreceived = first + 1;
    return nreceived == nsent ? MUST_PASS : MAY_PASS; /* more than one reply may fail it */
}

static void judge(bool passed, enum verdict verdict, const struct frame *reply, int value,
                  int error)
{
    if (passed && verdict == MUST_FAIL)
        testkit_broken("a call has succeeded without its reply\n");
    if (!passed && verdict == MUST_PASS)
        testkit_broken("a right reply was refused\n");
    if (passed && (value != (int)reply->words[0] || error != reply->error))
        testkit_broken("a call has returned something else than its reply says\n");
}

static bool begin_call(struct puppet *p)
{
    if (setjmp(call_failed))
        return false;
    puppet_begin(p);
    increment(1);
    return true;
}

static bool finish_call(struct puppet *p, int *value)
{
    if (setjmp(call_failed))
        return false;
    *value = finish(p);
    return true;
}

/* A message is followed by another one of the same call when its operation says so. */
static void send_messages(struct input *in, uint64_t nonce)
{
    unsigned operation = OPERATIONS;

    while (in->at < in->end && operation & OPERATIONS) {
        struct outgoing out;

        operation = next_byte(in);
        out = build_message(in, operation % OPERATIONS, nonce);
        send_message(&out);
    }
}

/* Makes a call, sends the messages that the input has for it, and waits for the
 * reply; false when the test has failed. */
static bool call(struct puppet *p, struct input *in)
{
    struct frame request, reply = {0};
    enum verdict verdict;
    uint64_t one = 1;
    int fd, value = 0;
    bool passed;

    if (!begin_call(p))
        return false;
    if (channel_receive(puppet_end_of_it, &request, &fd) != sizeof request)
        testkit_broken("the request has not arrived\n");
    send_messages(in, request.nonce);
    if (write(p->pidfd, &one, sizeof one) < 0) /* it ends; what it has sent still counts */
        testkit_broken("eventfd: %s\n", strerror(errno));
    verdict = expected(request.nonce, &reply);
    if (verdict == MUST_FAIL && nsent % 4 != 0) /* or it times out, which takes 4 ms */
        shutdown(puppet_end_of_it, SHUT_WR);
    passed = finish_call(p, &value);
    judge(passed, verdict, &reply, value, errno);
    return passed && read(p->pidfd, &one, sizeof one) == sizeof one;
}

/* ---- one input ---------------------------------------------------------------------- */

static uint64_t count_words(struct puppet *p, const uint64_t *words)
{
    (void)p;
    if (!sender_is_right)
        testkit_broken("another process has called back\n");
    return words[0] + words[FRAME_WORDS - 1];
}

static void observe(struct puppet *p, pid_t pid)
{
    (void)p;
    (void)pid;
}

/* A puppet that this process plays itself: it sends as its own pid, and an eventfd
 * stands for its pidfd. */
static struct puppet *start(struct input *in)
{
    struct frame hello = {.kind = FRAME_HELLO};
    struct puppet *p;
    struct timeval soon = {.tv_usec = 1}; /* all messages are there already */
    int ends[2], on = 1;

    control_reset();
    callbacks_add(count_words, FRAME_WORDS);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) < 0)
        testkit_broken("socketpair: %s\n", strerror(errno));
    setsockopt(ends[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof on);
    test_end = ends[0];
    puppet_end_of_it = ends[1];
    channel_send(ends[1], &hello, -1);
    p = puppet_start();
    close(p->pidfd);
    p->pidfd = eventfd(0, EFD_CLOEXEC);
    setsockopt(p->socket, SOL_SOCKET, SO_RCVTIMEO, &soon, sizeof soon);
    sender_is_right = next_byte(in) % 4 != 0;
    p->pid += !sender_is_right;
    p->faults[0] = (struct fault){.kind = next_byte(in) % (FAULT_HOLD + 1),
                                  .call = next_byte(in) % FAULT_CALLS,
                                  .nth = 1,
                                  .max_us = 3,
                                  .observer = observe};
    p->nfaults = p->faults[0].kind != 0;
    return p;
}

static void close_what_was_opened(const bool open_before[])
{
    for (int fd = 0; fd < MAX_FDS; fd++)
        if (!open_before[fd])
            close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct input in = {data, data + size};
    bool open_before[MAX_FDS];
    struct puppet *p;

    control_reset(); /* opens the page, once */
    for (int fd = 0; fd < MAX_FDS; fd++)
        open_before[fd] = fcntl(fd, F_GETFD) >= 0;
    nsent = nreceived = 0;
    p = start(&in);
    while (in.at < in.end && call(p, &in))
        continue;
    puppets_kill();
    callbacks_forget();
    decisions_forget();
    close_what_was_opened(open_before);
    return 0;
}
