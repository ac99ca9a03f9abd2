/* remote.c - puppets as a test sees them: start, call, wait, end.
 *
 * Theory of operation.  A call is one frame there and one back.  The answer
 * must have the right size, repeat the question's nonce and come from the
 * puppet's own pid, as the kernel says; anything else fails the test.  While
 * the test waits it looks now and then, and only then, at whether the puppet
 * still lives (its pidfd: a daemon may keep the socket open) and whether it
 * hangs: it used up its CPU time, or slept all the while and did nothing.
 *
 * Partner: puppet.c, the other end.
 */
#define _GNU_SOURCE
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "channel.h"
#include "session.h"
#include "stub.h"

enum { LOOK_MS = 50, CALL_CPU_SECONDS = 5, AT_MOST_SECONDS = 120, END_SECONDS = 10 };

uint64_t nonce_new(void)
{
    static uint64_t nonces[32];
    static size_t used = 32;

    if (used == 32) {
        if (getrandom(nonces, sizeof nonces, 0) != sizeof nonces)
            testkit_broken("getrandom: %s", strerror(errno));
        used = 0;
    }
    return nonces[used++];
}

void test_ran_out(const char *format, ...)
{
    char text[512];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (!session.calls_begun)
        testkit_broken("%s", text);
    test_fail("the submission kept the test going until %s", text);
}

/* ---- what a failure shows ------------------------------------------------ */

void note_call(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(session.test.calls[session.test.ncalls++ % CALLS_SHOWN], sizeof *session.test.calls,
              format, args);
    va_end(args);
}

void describe_call(char *text, size_t size, const char *function, size_t nargs,
                   const uint64_t args[])
{
    size_t used = snprintf(text, size, "%s(", function);

    for (size_t i = 0; i < nargs && used < size; i++) {
        char word[64];

        arena_describe(args[i], word, sizeof word);
        used += snprintf(text + used, size - used, "%s%s", i ? ", " : "", word);
    }
    if (used < size)
        snprintf(text + used, size - used, ")");
}

/* "EAGAIN", and the number where there is no name. */
static const char *errno_name(int error)
{
    static char number[16];
    const char *name = strerrorname_np(error);

    snprintf(number, sizeof number, "%d", error);
    return name ? name : number;
}

static void note_answer(const struct puppet *p, uint64_t value, int error)
{
    char word[64];

    arena_describe(value, word, sizeof word);
    if (error)
        note_call("%s gave %s, errno %s", p->doing, word, errno_name(error));
    else
        note_call("%s gave %s", p->doing, word);
}

/* ---- life and death ------------------------------------------------------ */

static int pidfd_open_(pid_t pid)
{
    return syscall(SYS_pidfd_open, pid, 0);
}

static bool readable(int fd, int timeout_ms)
{
    struct pollfd ready = {.fd = fd, .events = POLLIN};

    return poll(&ready, 1, timeout_ms) == 1;
}

bool puppet_is_dead(const struct puppet *p)
{
    return p->pidfd < 0 || readable(p->pidfd, 0);
}

/* Takes note of the end of a puppet that is dead, or is about to be. */
static void bury(struct puppet *p)
{
    struct frame question = {.kind = FRAME_WAIT, .words = {p->box_pid}}, answer;
    int fd;

    if (p->pidfd < 0)
        return;
    close(p->pidfd);
    close(p->socket);
    p->pidfd = p->socket = -1;
    p->status = stage_ask(&question, -1, &answer, &fd) ? (int)answer.words[0] : -1;
}

static void describe_end(int status, char *text, size_t size)
{
    if (status == -1)
        snprintf(text, size, "it is gone, and somebody else waited for it");
    else if (WIFSIGNALED(status) && sigabbrev_np(WTERMSIG(status)))
        snprintf(text, size, "killed by SIG%s (%s)", sigabbrev_np(WTERMSIG(status)),
                 strsignal(WTERMSIG(status)));
    else if (WIFSIGNALED(status))
        snprintf(text, size, "killed by signal %d", WTERMSIG(status));
    else
        snprintf(text, size, "it called exit(%d)", WEXITSTATUS(status));
}

static void kill_and_bury(struct puppet *p)
{
    if (p->pidfd >= 0)
        syscall(SYS_pidfd_send_signal, p->pidfd, SIGKILL, NULL, 0);
    bury(p);
}

/* The socket is at its end, or the pidfd says that the process is. */
static void fail_for_end(struct puppet *p)
{
    char how[128];

    script_describe_progress(p);
    if (!readable(p->pidfd, LOOK_MS * 20)) {
        kill_and_bury(p);
        test_fail("%s closed the connection to the test", p->doing);
    }
    bury(p);
    describe_end(p->status, how, sizeof how);
    test_fail("%s ended the process: %s", p->doing, how);
}

static void fail_for_hang(struct puppet *p, const char *how)
{
    script_describe_progress(p);
    kill_and_bury(p);
    test_fail("%s did not return: %s", p->doing, how);
}

/* What a test knows while it waits for a puppet. */
struct watch {
    uint64_t begun_ns;
    uint64_t cpu_ns; /* the puppet's, when the wait began */
    struct stillness stillness;
};

/* Fails the test when the puppet hangs.  CPU time is the measure, and a box
 * in which nobody moves: both are the same on a busy machine. */
static void look_for_hang(struct puppet *p, struct watch *watch)
{
    struct process_activity now;

    if (!process_activity(p->pid, &now))
        return;
    if (watch->begun_ns == 0) {
        watch->begun_ns = clock_ns();
        watch->cpu_ns = now.cpu_ns;
    }
    if (now.cpu_ns > watch->cpu_ns + limit(CALL_CPU_SECONDS) * SECOND_NS)
        fail_for_hang(p, "it used up its CPU time (an endless loop?)");
    if (box_stands_still(&watch->stillness))
        fail_for_hang(p, "it is asleep or stopped, and nothing wakes it");
    if (clock_ns() - watch->begun_ns > limit(AT_MOST_SECONDS) * SECOND_NS)
        fail_for_hang(p, "it wakes again and again, and never comes to an end");
}

/* ---- frames ------------------------------------------------------------- */

static void check_frame(struct puppet *p, const struct frame *answer, ssize_t size, int fd,
                        pid_t sender)
{
    if (fd >= 0)
        close(fd);
    if (size == sizeof *answer && answer->nonce == p->nonce && sender != p->pid &&
        answer->kind == FRAME_CHILD_RETURNED)
        test_fail("a child of yours returned from %s: after fork() the child must end with exec "
                  "or _exit()",
                  p->doing);
    if (size != sizeof *answer || fd >= 0 || sender != p->pid || answer->nonce != p->nonce ||
        (answer->kind != FRAME_RETURNED && answer->kind != FRAME_REFUSED))
        test_fail("%s: what came back is not the answer to this call", p->doing);
    if (answer->kind == FRAME_REFUSED)
        test_fail("%s: %.*s", p->doing, FRAME_TEXT_BYTES, answer->text);
}

void puppet_expect_idle(const struct puppet *p, const char *caller)
{
    if (p->busy)
        testkit_broken("%s: the puppet is still in %s", caller, p->doing);
}

void puppet_tell(struct puppet *p, struct frame *question, int fd)
{
    puppet_expect_idle(p, question->text);
    if (p->pidfd < 0)
        testkit_broken("%s: the test has ended this puppet", question->text);
    if (puppet_is_dead(p)) /* between two calls, by a thread or a child of its own */
        fail_for_end(p);
    question->nonce = p->nonce = nonce_new();
    p->busy = true;
    if (channel_send(p->socket, question, fd) < 0)
        fail_for_end(p);
}

/* Receives one message from a puppet; looks at its state whenever it lets the
 * test wait. */
static ssize_t receive(struct puppet *p, struct frame *answer, int *fd, pid_t *sender)
{
    struct watch watch = {0};
    ssize_t size;

    while ((size = channel_receive_from(p->socket, answer, fd, sender)) < 0) {
        if (errno == ECONNRESET)
            return 0;
        if (errno != EAGAIN)
            testkit_broken("cannot receive: %s", strerror(errno));
        if (puppet_is_dead(p))
            fail_for_end(p);
        look_for_hang(p, &watch);
    }
    return size;
}

uint64_t puppet_await(struct puppet *p)
{
    struct frame answer;
    pid_t sender;
    int fd;
    ssize_t size;

    size = receive(p, &answer, &fd, &sender);
    if (size == 0)
        fail_for_end(p);
    p->busy = false;
    check_frame(p, &answer, size, fd, sender);
    errno = answer.error;
    return answer.words[0];
}

uint64_t puppet_ask(struct puppet *p, struct frame *question, int fd)
{
    puppet_tell(p, question, fd);
    return puppet_await(p);
}

/* ---- starting and ending ------------------------------------------------- */

/* Once student code has run in the box, its children may have stopped others
 * from starting there. */
static void puppet_did_not_start(const char *why)
{
    if (!session.calls_begun)
        testkit_broken("cannot start a puppet: %s", why);
    test_fail("the submission left the box unable to start a process: %s", why);
}

/* The hello comes before the submission is loaded: who sends it is trusted. */
static void greet(struct puppet *p)
{
    struct timeval seconds = {.tv_sec = 30}, look = {.tv_usec = LOOK_MS * 1000};
    struct frame hello;
    int fd;

    setsockopt(p->socket, SOL_SOCKET, SO_RCVTIMEO, &seconds, sizeof seconds);
    if (channel_receive_from(p->socket, &hello, &fd, &p->pid) != sizeof hello ||
        hello.kind != FRAME_HELLO || p->pid <= 0)
        puppet_did_not_start("it did not say hello");
    setsockopt(p->socket, SOL_SOCKET, SO_RCVTIMEO, &look, sizeof look);
    if (!session.box)
        session.box = process_parent(p->pid);
    p->pidfd = pidfd_open_(p->pid);
    if (p->pidfd < 0)
        puppet_did_not_start(strerror(errno));
}

struct puppet *puppet_start(void)
{
    struct puppet *p = &session.test.puppets[session.test.npuppets];
    struct frame question = {.kind = FRAME_START,
                             .words = {session.test.npuppets, (int64_t)session.test.cpu}};
    struct frame answer;

    if (session.test.npuppets == MAX_PUPPETS)
        test_ran_out("there were more than %d puppets", MAX_PUPPETS);
    *p = (struct puppet){.pidfd = -1, .socket = -1};
    if (!stage_ask(&question, session.test.arena_fd, &answer, &p->socket))
        puppet_did_not_start(strerror(answer.error));
    p->box_pid = answer.words[0];
    p->slot = &CONTROL->slots[session.test.npuppets];
    session.test.npuppets++;
    greet(p);
    snprintf(p->doing, sizeof p->doing, "the puppet");
    session.test.current = p;
    return p;
}

void puppet_use(struct puppet *p)
{
    session.test.current = p;
}

struct puppet *puppet_current(void)
{
    return session.test.current;
}

struct puppet *current_or_new(void)
{
    return session.test.current ? session.test.current : puppet_start();
}

pid_t puppet_pid(const struct puppet *p)
{
    return p->pid;
}

void puppet_kill(struct puppet *p)
{
    kill_and_bury(p);
}

void puppet_end(struct puppet *p)
{
    struct frame question = {.kind = FRAME_END};

    if (p->pidfd < 0)
        return;
    if (p->busy || channel_send(p->socket, &question, -1) < 0 ||
        !readable(p->pidfd, limit(END_SECONDS) * 1000))
        kill_and_bury(p);
    else
        bury(p);
}

void puppets_end(void)
{
    for (size_t i = 0; i < session.test.npuppets; i++)
        puppet_end(&session.test.puppets[i]);
}

void puppets_kill(void)
{
    for (size_t i = 0; i < session.test.npuppets; i++) {
        struct puppet *p = &session.test.puppets[i];

        if (p->pidfd < 0)
            continue;
        syscall(SYS_pidfd_send_signal, p->pidfd, SIGKILL, NULL, 0);
        close(p->pidfd);
        close(p->socket);
    }
    session.test.npuppets = 0;
}

void puppets_use_all_cpus(void)
{
    session.test.cpu = -1;
    sched_setaffinity(0, sizeof session.cpus, &session.cpus);
}

/* ---- calls -------------------------------------------------------------- */

uint64_t remote_call(const char *function, size_t nargs, const uint64_t *args)
{
    struct frame question = {.kind = FRAME_CALL};
    struct puppet *p;

    if (nargs > FRAME_WORDS || strlen(function) >= sizeof question.text)
        testkit_broken("%s: a call has at most %d arguments", function, FRAME_WORDS);
    if (session.test.recording) {
        script_append(function, nargs, args);
        return 0;
    }
    p = current_or_new();
    session.calls_begun = true;
    puppet_expect_idle(p, function);
    strcpy(question.text, function);
    memcpy(question.words, args, nargs * sizeof *args);
    describe_call(p->doing, sizeof p->doing, function, nargs, args);
    puppet_tell(p, &question, -1);
    if (p->beginning) {
        p->beginning = false;
        note_call("%s began", p->doing);
        return 0;
    }
    return finish_word(p);
}

void puppet_begin(struct puppet *p)
{
    puppet_use(p);
    p->beginning = true;
}

void puppet_begun(void)
{
    if (session.test.current->beginning)
        testkit_broken("begin() takes a call of the contract");
    process_activity(session.test.current->pid, &session.test.current->at_start);
}

uint64_t finish_word(struct puppet *p)
{
    uint64_t value;
    int error;

    if (!p->busy)
        testkit_broken("finish() without begin()");
    value = puppet_await(p);
    error = errno;
    note_answer(p, value, error);
    errno = error;
    return value;
}

int finish(struct puppet *p)
{
    return (int)finish_word(p);
}

/* ---- descriptors and programs --------------------------------------------- */

void puppet_give_fd(struct puppet *p, int fd, int as_number)
{
    struct frame question = {.kind = FRAME_GIVE_FD, .words = {as_number}, .text = "puppet_give_fd"};

    if (as_number < 0 || as_number >= OWN_FDS)
        testkit_broken("puppet_give_fd: %d is not 0 to %d", as_number, OWN_FDS - 1);
    puppet_ask(p, &question, fd);
}

void puppet_close_fd(struct puppet *p, int number)
{
    struct frame question = {.kind = FRAME_CLOSE_FD, .words = {number}, .text = "puppet_close_fd"};

    puppet_ask(p, &question, -1);
}

const char *program_path(const char *name)
{
    char path[512];

    if (!session.programs)
        testkit_broken("no --programs given, and the test wants %s", name);
    snprintf(path, sizeof path, "%s/%s", session.programs, name);
    return arena_string(path);
}

static void describe_argv(char *text, size_t size, const char *const argv[])
{
    size_t used = snprintf(text, size, "%s", argv[0]);

    for (size_t i = 1; argv[i] && used < size; i++)
        used += snprintf(text + used, size - used, " %s", argv[i]);
}

void puppet_exec(struct puppet *p, const char *const argv[])
{
    struct frame question = {.kind = FRAME_EXEC, .text = "puppet_exec"};
    struct frame answer;
    char **copy;
    size_t n = 0;
    pid_t sender;
    int fd;
    ssize_t size;

    while (argv[n])
        n++;
    copy = arena_alloc("argv", (n + 1) * sizeof *copy);
    for (size_t i = 0; i < n; i++)
        copy[i] = arena_string(argv[i]);
    question.words[0] = (uintptr_t)copy;
    puppet_expect_idle(p, argv[0]);
    describe_argv(p->doing, sizeof p->doing, argv);
    session.calls_begun = true;
    puppet_tell(p, &question, -1);
    size = receive(p, &answer, &fd, &sender);
    if (size != 0) /* exec closes the socket; only its failure has an answer */
        check_frame(p, &answer, size, fd, sender);
    p->busy = false;
    note_call("program started: %s", p->doing);
}

int puppet_wait(struct puppet *p)
{
    struct watch watch = {0};

    while (p->pidfd >= 0) {
        if (readable(p->pidfd, LOOK_MS))
            bury(p);
        else
            look_for_hang(p, &watch);
    }
    return p->status;
}
