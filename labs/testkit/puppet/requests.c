/* requests.c - a puppet: the process that runs student code.
 *
 * Theory of operation.  A puppet maps the arena, sends FRAME_HELLO, and then
 * serves one request at a time: call a function of the submission, run a
 * script of such calls, accept or close a descriptor, execute a program.  It
 * judges nothing: student code can do anything to this process, and the test
 * checks every frame that comes from it.
 *
 * Partner: test/frames.c, the other end.
 */
#include "requests.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ask.h"
#include "callbacks.h"
#include "filter.h"
#include "libc.h"
#include "memory.h"
#include "shared/channel.h"
#include "submission.h"
#include "wrappers.h"

static int test_fd;
static pid_t self;
static unsigned number; /* of this puppet, from 0 */
static const char *submission_path;

static void send_or_exit(int kind, const struct frame *request, uint64_t value, int error,
                         const char *text)
{
    struct frame reply = {.kind = kind, .error = error, .nonce = request->nonce, .words = {value}};

    if (text)
        snprintf(reply.text, sizeof reply.text, "%s", text);
    if (channel_send(test_fd, &reply, -1) < 0)
        _exit(0); /* the test has ended, and nothing else waits for the reply */
}

/* ---- calls -------------------------------------------------------------- */

static uint64_t invoke(function_of_words *function, const uint64_t w[], int *error)
{
    uint64_t value;

    errno = 0;
    faults_arm(number);
    value = function(w[0], w[1], w[2], w[3], w[4], w[5]);
    faults_disarm();
    *error = errno;
    return value;
}

static function_of_words *find(const char *name, const struct frame *request)
{
    char why[FRAME_TEXT_BYTES];
    function_of_words *function = submission_function(submission_path, name, why, sizeof why);

    if (!function)
        send_or_exit(FRAME_REFUSED, request, 0, 0, why);
    return function;
}

/* fork() inside the function returns twice; the child must not go on to read
 * the socket.  It reports that it returned, and exits. */
static void exit_if_child(const struct frame *request)
{
    if (getpid() == self)
        return;
    send_or_exit(FRAME_CHILD_RETURNED, request, 0, 0, NULL);
    _exit(0);
}

static void call(const struct frame *request)
{
    function_of_words *function = find(request->text, request);
    uint64_t value;
    int error;

    if (!function)
        return;
    value = invoke(function, request->words, &error);
    exit_if_child(request);
    send_or_exit(FRAME_RETURNED, request, value, error, NULL);
}

/* The test sets something up; no function of the submission is in the way. */
static void call_libc(const struct frame *request)
{
    function_of_words *function = libc_function(request->text);
    const uint64_t *w = request->words;
    uint64_t value;

    if (!function) {
        send_or_exit(FRAME_REFUSED, request, 0, 0, "libc has no such function");
        return;
    }
    errno = 0;
    value = function(w[0], w[1], w[2], w[3], w[4], w[5]);
    send_or_exit(FRAME_RETURNED, request, value, errno, NULL);
}

static uint64_t argument(uint64_t word, const struct script_call calls[], uint64_t done)
{
    uint64_t index = word & ~SCRIPT_VALUE_MASK;

    if ((word & SCRIPT_VALUE_MASK) != SCRIPT_VALUE_TAG || index >= done)
        return word;
    return calls[index].value;
}

static void overwrite_inputs(const struct script_call *call)
{
    for (int k = 0; k < FRAME_WORDS; k++)
        if (call->input_bytes[k] > 0)
            memset((void *)call->words[k], ARENA_GARBAGE, call->input_bytes[k]);
}

static void run_script(const struct frame *request)
{
    struct script_call *calls = (struct script_call *)request->words[0];
    uint64_t count = request->words[1];

    for (uint64_t i = 0; i < count; i++) {
        function_of_words *function = find(calls[i].function, request);
        uint64_t words[FRAME_WORDS];

        if (!function)
            return;
        for (int k = 0; k < FRAME_WORDS; k++)
            words[k] = argument(calls[i].words[k], calls, i);
        calls[i].value = invoke(function, words, &calls[i].error);
        exit_if_child(request);
        overwrite_inputs(&calls[i]);
        calls[i].done = 1;
    }
    send_or_exit(FRAME_RETURNED, request, count, 0, NULL);
}

/* ---- descriptors and programs --------------------------------------------- */

static void accept_fd(const struct frame *request, int fd)
{
    int number = request->words[0];

    if (fd == number)
        fcntl(fd, F_SETFD, 0);
    else if (dup2(fd, number) < 0 || close(fd) < 0)
        _exit(1);
    send_or_exit(FRAME_RETURNED, request, 0, 0, NULL);
}

/* The arguments do not come through the arena, where student code in another
 * puppet could replace them. */
static void exec_program(const struct frame *request)
{
    size_t argc = request->words[0], bytes = request->words[1];
    char **argv = calloc(argc + 1, sizeof *argv), *text = malloc(bytes);
    char why[FRAME_TEXT_BYTES];

    if (!argv || !text || recv(test_fd, text, bytes, 0) != (ssize_t)bytes)
        _exit(1);
    for (size_t i = 0; i < argc; i++, text += strlen(text) + 1)
        argv[i] = text;
    execv(argv[0], argv);
    snprintf(why, sizeof why, "cannot execute %.60s: %s", argv[0], strerror(errno));
    send_or_exit(FRAME_REFUSED, request, 0, errno, why);
}

/* ---- the request loop ----------------------------------------------------- */

__attribute__((noreturn)) static void serve_requests(void)
{
    for (;;) {
        struct frame request;
        int fd;

        if (channel_receive(test_fd, &request, &fd) <= 0)
            _exit(0);
        apply_marks();
        switch (request.kind) {
        case FRAME_CALL:
            call(&request);
            break;
        case FRAME_CALL_LIBC:
            call_libc(&request);
            break;
        case FRAME_SCRIPT:
            run_script(&request);
            break;
        case FRAME_GIVE_FD:
            accept_fd(&request, fd);
            break;
        case FRAME_CLOSE_FD:
            close(request.words[0]);
            send_or_exit(FRAME_RETURNED, &request, 0, 0, NULL);
            break;
        case FRAME_ENTRY:
            send_or_exit(FRAME_RETURNED, &request, (uintptr_t)callback_entry(request.words[0]), 0,
                         NULL);
            break;
        case FRAME_EXEC:
            exec_program(&request);
            break;
        default:
            _exit(0);
        }
    }
}

static void run_on_cpu(int cpu)
{
    cpu_set_t cpus;

    CPU_ZERO(&cpus);
    CPU_SET(cpu, &cpus);
    sched_setaffinity(0, sizeof cpus, &cpus);
}

void run_puppet(int fd, const struct frame *start, int arena_fd, const char *path)
{
    self = getpid();
    test_fd = fd;
    submission_path = path;
    number = start->words[0];
    ask_open(fd);
    prctl(PR_SET_DUMPABLE, 1); /* so that student code can read its own /proc entries */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, "puppet");
    if ((int64_t)start->words[1] >= 0)
        run_on_cpu(start->words[1]);
    if (!memory_open(arena_fd) || !filter_install())
        _exit(1);
    send_or_exit(FRAME_HELLO, start, 0, 0, NULL);
    serve_requests();
}
