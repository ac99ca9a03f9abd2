/* test_support.h - what the public and the hidden tests of this lab share.
 *
 * A test hands the puppet a file to read (descriptor IN) and one to write
 * (OUT), runs a line of stages, and looks at what came out.  Where it must
 * look at stages while they run, the stages are probes (probe.c): each
 * announces itself on a socket, which tells its pid, and waits at a gate
 * until the test has looked.
 */
#ifndef TEST_SUPPORT_H
#define TEST_SUPPORT_H

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "testkit.h"

#include "pipeline.h"
#include "probe.h"

#define UNUSED_ __attribute__((unused))

/* Descriptor numbers in the puppet. */
enum { IN = 10, OUT = 11 };

enum { MAX_FDS = 100, MAX_NAMED = 8 };

/* ---- files -------------------------------------------------------------- */

/* A file that is in no folder and holds `text`, to be read from its
 * beginning; /proc/PID/fd shows it as /memfd:NAME. */
static int UNUSED_ file_named(const char *name, const char *text, size_t len_bytes)
{
    int fd = memfd_create(name, MFD_CLOEXEC);

    if (fd == -1 || write(fd, text, len_bytes) != (ssize_t)len_bytes || lseek(fd, 0, SEEK_SET) != 0)
        testkit_broken("cannot make a file: %s", strerror(errno));
    return fd;
}

static int UNUSED_ input_file(const char *text)
{
    return file_named("in", text, strlen(text));
}

static int UNUSED_ output_file(void)
{
    return file_named("out", "", 0);
}

static size_t UNUSED_ file_size(int fd)
{
    struct stat status;

    if (fstat(fd, &status) == -1)
        testkit_broken("fstat: %s", strerror(errno));
    return (size_t)status.st_size;
}

/* All of a file, malloc'ed, with a '\0' behind it. */
static char UNUSED_ *contents(int fd)
{
    size_t size_bytes = file_size(fd);
    char *text = malloc(size_bytes + 1);

    if (text == NULL)
        testkit_broken("no memory");
    if (pread(fd, text, size_bytes, 0) != (ssize_t)size_bytes)
        fail_msg("a file changed while the test read it");
    text[size_bytes] = '\0';
    return text;
}

/* A text as C writes it, cut off where it gets long. */
static const char UNUSED_ *quoted(const char *text, char *space, size_t size)
{
    size_t n = 0;

    for (; *text != '\0' && n + 8 < size; text++)
        if (*text == '\n')
            n += (size_t)snprintf(space + n, size - n, "\\n");
        else if (*text >= ' ' && *text <= '~')
            n += (size_t)snprintf(space + n, size - n, "%c", *text);
        else
            n += (size_t)snprintf(space + n, size - n, "\\x%02x", (unsigned char)*text);
    snprintf(space + n, size - n, "%s", *text != '\0' ? "..." : "");
    return space;
}

#define assert_file_holds(fd, expected) check_file_holds(fd, #fd, expected)
static void UNUSED_ check_file_holds(int fd, const char *name, const char *expected)
{
    char *text = contents(fd);
    char have[300], want[300];

    if (strcmp(text, expected) != 0)
        fail_msg("the file \"%s\" holds \"%s\"; expected: \"%s\"", name,
                 quoted(text, have, sizeof have), quoted(expected, want, sizeof want));
    free(text);
}

/* Makes an input readable from its beginning again, and an output empty; test
 * and puppet share the file's position. */
static void UNUSED_ rewind_files(int in, int out)
{
    if (lseek(in, 0, SEEK_SET) != 0 || lseek(out, 0, SEEK_SET) != 0 || ftruncate(out, 0) != 0)
        testkit_broken("cannot rewind: %s", strerror(errno));
}

/* A puppet with these as its IN and OUT. */
static struct puppet UNUSED_ *puppet_between(int in, int out)
{
    struct puppet *p = puppet_start();

    puppet_give_fd(p, in, IN);
    puppet_give_fd(p, out, OUT);
    return p;
}

/* ---- lines of stages ----------------------------------------------------- */

struct line {
    struct pipeline_stage *stages;
    size_t nstages;
    int *status;
};

static struct line UNUSED_ line_of(size_t nstages, char **const argvs[])
{
    struct line line = {arena_alloc("stages", nstages * sizeof line.stages[0]), nstages,
                        arena_out("status", nstages * sizeof line.status[0])};

    for (size_t i = 0; i < nstages; i++)
        line.stages[i].argv = argvs[i];
    return line;
}

/* LINE(CMD("ls", "-1"), CMD("sort")) */
#define CMD(...) arena_argv(__VA_ARGS__, NULL)
#define LINE(...)                                                                                  \
    line_of(sizeof((char **[]){__VA_ARGS__}) / sizeof(char **), (char **[]){__VA_ARGS__})
#define PROBE(...) CMD(program_path("probe"), __VA_ARGS__)

#define run_line(line, in, out) pipeline_run((line).stages, (line).nstages, in, out, (line).status)

/* "EAGAIN", for messages. */
static const char UNUSED_ *error_name(int error)
{
    const char *name = strerrorname_np(error);

    return error == 0 ? "errno not set" : name == NULL ? "an unknown errno" : name;
}

/* Fails unless a call of pipeline_run, or the finish() of one, gave 0. */
static void UNUSED_ assert_succeeds(int result)
{
    if (result == -1)
        fail_msg("pipeline_run returned -1 (%s); expected: 0", error_name(errno));
    if (result != 0)
        fail_msg("pipeline_run returned %d; expected: 0", result);
}

/* Fails unless such a call gave -1 with this errno. */
static void UNUSED_ assert_fails_with(int error, int result)
{
    if (result == -1 && errno != error)
        fail_msg("pipeline_run returned -1 (%s); expected: -1 (%s)", error_name(errno),
                 error_name(error));
    if (result != -1)
        fail_msg("pipeline_run returned %d; expected: -1 (%s)", result, error_name(error));
}

/* Fails unless all went well and every stage exited with 0. */
#define assert_line_succeeds(line_, in, out)                                                       \
    do {                                                                                           \
        struct line once_ = (line_);                                                               \
        assert_succeeds(run_line(once_, in, out));                                                 \
        for (size_t i_ = 0; i_ < once_.nstages; i_++)                                              \
            assert_stage_exited(once_, i_, 0);                                                     \
    } while (0)

/* A status as arena_out() left it. */
static bool UNUSED_ is_unwritten(int word)
{
    return (unsigned)word == 0xA5A5A5A5u;
}

/* "ended with exit status 3", "was killed by SIGKILL": for messages; a ring
 * of buffers. */
static const char UNUSED_ *ending(int word)
{
    static char texts[4][64];
    static unsigned next;
    char *text = texts[next++ % 4];
    const char *name = WIFSIGNALED(word) ? sigabbrev_np(WTERMSIG(word)) : NULL;

    if (word == -1)
        snprintf(text, sizeof texts[0], "was never started (-1)");
    else if (is_unwritten(word))
        snprintf(text, sizeof texts[0], "has no status: nothing was stored there");
    else if (WIFEXITED(word))
        snprintf(text, sizeof texts[0], "ended with exit status %d", WEXITSTATUS(word));
    else if (name != NULL)
        snprintf(text, sizeof texts[0], "was killed by SIG%s", name);
    else if (WIFSIGNALED(word))
        snprintf(text, sizeof texts[0], "was killed by signal %d", WTERMSIG(word));
    else
        snprintf(text, sizeof texts[0], "has 0x%x, no status word of an end", (unsigned)word);
    return text;
}

static void UNUSED_ assert_ending(size_t stage, int word, int expected)
{
    if (word != expected &&
        !(WIFSIGNALED(word) && WIFSIGNALED(expected) && WTERMSIG(word) == WTERMSIG(expected)))
        fail_msg("status[%zu] says that the stage %s; expected: it %s", stage, ending(word),
                 ending(expected));
}

#define assert_stage_exited(line, stage, code)                                                     \
    assert_ending(stage, (line).status[stage], W_EXITCODE(code, 0))
#define assert_stage_killed(line, stage, number)                                                   \
    assert_ending(stage, (line).status[stage], W_EXITCODE(0, number))

/* ---- stages that tell ---------------------------------------------------- */

/* The test's end of the socket that is descriptor 2 of puppet and stages. */
struct control {
    int fd;
};

struct told {
    struct announcement said;
    pid_t pid; /* as the test process sees it */
};

/* Makes the puppet's descriptor 2 the socket on which probes announce
 * themselves, and at which they wait: PROBE("announce", "0", "gate", "2"). */
static struct control UNUSED_ control_open(struct puppet *p)
{
    int ends[2];
    int on = 1;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == -1 ||
        setsockopt(ends[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof on) == -1)
        testkit_broken("cannot make the control socket: %s", strerror(errno));
    puppet_give_fd(p, ends[1], PROBE_CONTROL_FD);
    close(ends[1]);
    return (struct control){ends[0]};
}

/* Takes the next message, if there is one; false also for one that is no
 * announcement, say what a child writes to its standard error. */
static bool UNUSED_ control_hear_once(struct control control, struct told *told, bool *more)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(struct ucred))];
    } space;
    struct iovec place = {&told->said, sizeof told->said};
    struct msghdr message = {
        .msg_iov = &place, .msg_iovlen = 1, .msg_control = &space, .msg_controllen = sizeof space};
    ssize_t n = recvmsg(control.fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    struct cmsghdr *header = n > 0 ? CMSG_FIRSTHDR(&message) : NULL;
    struct ucred sender;

    *more = n > 0;
    if (n != sizeof told->said || message.msg_flags & MSG_TRUNC || header == NULL ||
        header->cmsg_type != SCM_CREDENTIALS || told->said.magic != PROBE_MAGIC)
        return false;
    memcpy(&sender, CMSG_DATA(header), sizeof sender);
    told->said.name[sizeof told->said.name - 1] = '\0';
    told->pid = sender.pid;
    return true;
}

/* Takes the next announcement, if there is one. */
static bool UNUSED_ control_hear(struct control control, struct told *told)
{
    bool more = true;

    while (more)
        if (control_hear_once(control, told, &more))
            return true;
    return false;
}

/* Lets one probe pass its gate, whichever it is; or all of them, for good. */
static void UNUSED_ control_let_one_pass(struct control control)
{
    if (send(control.fd, "", 1, MSG_NOSIGNAL) != 1)
        fail_msg("nobody holds the caller's descriptor 2, a socket, or it was shut down");
}

static void UNUSED_ control_let_pass(struct control control)
{
    if (shutdown(control.fd, SHUT_WR) == -1)
        fail_msg("the caller's descriptor 2, a socket, was shut down");
}

/* Waits until the probes "0", "1" ... have announced themselves while a call
 * of the puppet is going on. */
static void UNUSED_ control_await(struct control control, struct puppet *p, struct told told[],
                                  size_t n)
{
    struct told next;
    size_t missing = n;
    enum puppet_state state = puppet_settle(p);

    if (state == PUPPET_RETURNED || state == PUPPET_DEAD) {
        int result = finish(p); /* says how it died, if it did */

        fail_msg("pipeline_run returned %d (%s) while its stages should be running", result,
                 error_name(errno));
    }
    for (size_t i = 0; i < n; i++)
        told[i].pid = 0;
    while (missing > 0) {
        WAIT_UNTIL(control_hear(control, &next));

        size_t i = strtoul(next.said.name, NULL, 10);

        if (i >= n || told[i].pid != 0)
            fail_msg("stage \"%s\" was started more than once", next.said.name);
        told[i] = next;
        missing--;
    }
}

/* A gate of its own, for processes that are no stages: they wait at descriptor
 * `number` until the test opens it. */
static int UNUSED_ gate_close(struct puppet *p, int number)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) == -1)
        testkit_broken("cannot make a gate: %s", strerror(errno));
    puppet_give_fd(p, ends[0], number);
    close(ends[0]);
    return ends[1];
}

static void UNUSED_ gate_open(int gate)
{
    close(gate);
}

/* ---- descriptors --------------------------------------------------------- */

struct fds {
    struct fd_info at[MAX_FDS];
    size_t n;
};

static struct fds UNUSED_ fds_of(pid_t pid)
{
    struct fds fds;

    fds.n = process_fds(pid, fds.at, MAX_FDS);
    return fds;
}

static const char UNUSED_ *inheritance(bool cloexec)
{
    return cloexec ? "close-on-exec" : "inheritable";
}

/* Fails unless a puppet has the descriptors it had, as it had them. */
static void UNUSED_ assert_fds_as_before(struct puppet *p, struct fds before)
{
    struct fds now = fds_of(puppet_pid(p));

    for (size_t i = 0; i < now.n; i++)
        for (size_t k = 0; k < before.n; k++)
            if (now.at[i].fd == before.at[k].fd && now.at[i].cloexec != before.at[k].cloexec)
                fail_msg("the caller's descriptor %d was %s before the call and is %s now",
                         now.at[i].fd, inheritance(before.at[k].cloexec),
                         inheritance(now.at[i].cloexec));
    assert_fds_are(puppet_pid(p), before.at, before.n);
}

/* ---- programs ------------------------------------------------------------ */

struct outcome {
    char command[300]; /* as one would type it, for messages */
    int word;          /* as waitpid gives it */
    int in;
    int out;
    int err;
};

/* A command line as a shell would have to read it, but for the folder of the
 * program. */
static void UNUSED_ print_command(char *text, size_t size, const char *const argv[])
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "-+./=,:_";
    size_t n = 0;

    text[0] = '\0';
    for (size_t i = 0; argv[i] != NULL && n < size; i++) {
        const char *slash = strrchr(argv[i], '/');
        const char *mark = argv[i][strspn(argv[i], plain)] == '\0' ? "" : "'";
        char word[100];

        quoted(argv[i][0] == '/' ? slash + 1 : argv[i], word, sizeof word);
        n += (size_t)snprintf(text + n, size - n, "%s%s%s%s", i == 0 ? "" : " ", mark, word, mark);
    }
}

/* Runs a program of the box to its end, with an input, in a puppet of its
 * own. */
static struct outcome UNUSED_ run_program(const char *input, const char *const argv[])
{
    struct outcome outcome = {"", 0, input_file(input), output_file(), file_named("err", "", 0)};
    struct puppet *p = puppet_start();

    print_command(outcome.command, sizeof outcome.command, argv);

    puppet_give_fd(p, outcome.in, STDIN_FILENO);
    puppet_give_fd(p, outcome.out, STDOUT_FILENO);
    puppet_give_fd(p, outcome.err, STDERR_FILENO);
    puppet_exec(p, argv);
    outcome.word = puppet_wait(p);
    return outcome;
}

#define PROGRAM(...) run_program("", (const char *const[]){__VA_ARGS__, NULL})

static void UNUSED_ outcome_close(struct outcome outcome)
{
    close(outcome.in);
    close(outcome.out);
    close(outcome.err);
}

/* For what assert_outcome does not look at, and for what must not be empty. */
#define ANYTHING NULL
static const char UNUSED_ SOMETHING[] = "something";

static void UNUSED_ check_printed(const char *command, const char *stream, int fd,
                                  const char *expected)
{
    char *text = contents(fd);
    char have[300], want[300];

    if (expected == SOMETHING && *text == '\0')
        fail_msg("%s: it wrote nothing to %s", command, stream);
    if (expected != SOMETHING && expected != ANYTHING && strcmp(text, expected) != 0)
        fail_msg("%s: %s is \"%s\"; expected: \"%s\"", command, stream,
                 quoted(text, have, sizeof have), quoted(expected, want, sizeof want));
    free(text);
}

/* Fails, naming the command line, unless a program ended with this exit
 * status and wrote these; closes its files. */
static void UNUSED_ assert_outcome(struct outcome outcome, int exit_status, const char *out,
                                   const char *err)
{
    if (outcome.word != W_EXITCODE(exit_status, 0)) {
        char *complaint = contents(outcome.err);
        char said[300];

        fail_msg("%s: it %s; expected: exit status %d; standard error is \"%s\"", outcome.command,
                 ending(outcome.word), exit_status, quoted(complaint, said, sizeof said));
    }
    check_printed(outcome.command, "standard output", outcome.out, out);
    check_printed(outcome.command, "standard error", outcome.err, err);
    outcome_close(outcome);
}

/* What a line of shell prints in the box; the last newline is cut off.  For
 * what a test needs there, a folder say, never for a verdict on its own. */
static char UNUSED_ *shell(const char *command, const char *argument)
{
    struct outcome outcome = PROGRAM("/bin/sh", "-c", command, "sh", argument);
    char *text = contents(outcome.out);
    size_t len = strlen(text);

    if (outcome.word != 0) {
        char *complaint = contents(outcome.err);

        testkit_broken("sh -c '%s' %s: %s", command, ending(outcome.word), complaint);
    }
    if (len > 0 && text[len - 1] == '\n')
        text[len - 1] = '\0';
    outcome_close(outcome);
    return text;
}

#endif
