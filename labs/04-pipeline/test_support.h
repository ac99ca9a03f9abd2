/* test_support.h - what the public and the hidden tests of this lab share.
 *
 * A test passes two files to the puppet, one to read (descriptor IN) and one to
 * write (OUT), lets it run a pipeline, and checks the output and the wait
 * statuses.  Where a test must examine stages while they run, the stages are
 * probes (probe.c): each announces itself on a socket, which also tells its
 * pid, and then waits at a gate until the test opens it.
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

/* A file without a directory entry that holds `text`, positioned at its
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

/* The contents of a file, allocated with malloc and terminated by '\0'. */
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

/* A text as a C string literal, truncated when it is too long. */
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

/* Rewinds an input to its beginning and empties an output; test and puppet
 * share the file offset. */
static void UNUSED_ rewind_files(int in, int out)
{
    if (lseek(in, 0, SEEK_SET) != 0 || lseek(out, 0, SEEK_SET) != 0 || ftruncate(out, 0) != 0)
        testkit_broken("cannot rewind: %s", strerror(errno));
}

/* A puppet with these files as its descriptors IN and OUT. */
static struct puppet UNUSED_ *puppet_with_files(int in, int out)
{
    struct puppet *p = puppet_start();

    puppet_give_fd(p, in, IN);
    puppet_give_fd(p, out, OUT);
    return p;
}

/* ---- pipelines ------------------------------------------------------------ */

struct pipeline {
    struct pipeline_stage *stages;
    size_t nstages;
    int *status;
};

static struct pipeline UNUSED_ pipeline_of(size_t nstages, char **const argvs[])
{
    struct pipeline pipeline = {arena_alloc("stages", nstages * sizeof pipeline.stages[0]), nstages,
                                arena_out("status", nstages * sizeof pipeline.status[0])};

    for (size_t i = 0; i < nstages; i++)
        pipeline.stages[i].argv = argvs[i];
    return pipeline;
}

/* PIPELINE(CMD("ls", "-1"), CMD("sort"), PROBE("pass")) */
#define CMD(...) arena_argv(__VA_ARGS__, NULL)
#define PIPELINE(...)                                                                              \
    pipeline_of(sizeof((char **[]){__VA_ARGS__}) / sizeof(char **), (char **[]){__VA_ARGS__})
#define PROBE(...) CMD(program_path("probe"), __VA_ARGS__)

#define run_pipeline(pipeline, in, out)                                                            \
    pipeline_run((pipeline).stages, (pipeline).nstages, in, out, (pipeline).status)

/* "EAGAIN", for messages. */
static const char UNUSED_ *error_name(int error)
{
    const char *name = strerrorname_np(error);

    return error == 0 ? "errno not set" : name == NULL ? "an unknown errno" : name;
}

/* Fails unless a call of pipeline_run, or the finish() of one, returned 0. */
static void UNUSED_ assert_succeeds(int result)
{
    if (result == -1)
        fail_msg("pipeline_run returned -1 (%s); expected: 0", error_name(errno));
    if (result != 0)
        fail_msg("pipeline_run returned %d; expected: 0", result);
}

/* Fails unless such a call returned -1 with this errno. */
static void UNUSED_ assert_fails_with(int error, int result)
{
    if (result == -1 && errno != error)
        fail_msg("pipeline_run returned -1 (%s); expected: -1 (%s)", error_name(errno),
                 error_name(error));
    if (result != -1)
        fail_msg("pipeline_run returned %d; expected: -1 (%s)", result, error_name(error));
}

/* Fails unless pipeline_run returned 0 and every stage exited with 0. */
#define assert_pipeline_succeeds(pipeline_, in, out)                                               \
    do {                                                                                           \
        struct pipeline once_ = (pipeline_);                                                       \
        assert_succeeds(run_pipeline(once_, in, out));                                             \
        for (size_t i_ = 0; i_ < once_.nstages; i_++)                                              \
            assert_stage_exited(once_, i_, 0);                                                     \
    } while (0)

/* Whether an element of status[] still has the value that arena_out() set. */
static bool UNUSED_ is_unwritten(int wstatus)
{
    return (unsigned)wstatus == 0xA5A5A5A5u;
}

/* "exited with 3", "was killed by SIGKILL", for messages; a ring of buffers. */
static const char UNUSED_ *describe_wstatus(int wstatus)
{
    static char texts[4][64];
    static unsigned next;
    char *text = texts[next++ % 4];
    const char *name = WIFSIGNALED(wstatus) ? sigabbrev_np(WTERMSIG(wstatus)) : NULL;

    if (wstatus == -1)
        snprintf(text, sizeof texts[0], "was never started (-1)");
    else if (is_unwritten(wstatus))
        snprintf(text, sizeof texts[0], "has no status: nothing was stored there");
    else if (WIFEXITED(wstatus))
        snprintf(text, sizeof texts[0], "exited with %d", WEXITSTATUS(wstatus));
    else if (name != NULL)
        snprintf(text, sizeof texts[0], "was killed by SIG%s", name);
    else if (WIFSIGNALED(wstatus))
        snprintf(text, sizeof texts[0], "was killed by signal %d", WTERMSIG(wstatus));
    else
        snprintf(text, sizeof texts[0], "has 0x%x, not the wait status of a process that ended",
                 (unsigned)wstatus);
    return text;
}

static void UNUSED_ assert_wstatus(size_t stage, int wstatus, int expected)
{
    bool same_signal = WIFSIGNALED(wstatus) && WIFSIGNALED(expected) &&
                       WTERMSIG(wstatus) == WTERMSIG(expected); /* core dumped or not */

    if (wstatus != expected && !same_signal)
        fail_msg("status[%zu] says that the stage %s; expected: it %s", stage,
                 describe_wstatus(wstatus), describe_wstatus(expected));
}

#define assert_stage_exited(pipeline, stage, code)                                                 \
    assert_wstatus(stage, (pipeline).status[stage], W_EXITCODE(code, 0))
#define assert_stage_killed(pipeline, stage, number)                                               \
    assert_wstatus(stage, (pipeline).status[stage], W_EXITCODE(0, number))

/* ---- probes -------------------------------------------------------------- */

/* The test's end of the socket that is descriptor 2 of puppet and stages. */
struct control {
    int fd;
};

/* A probe that has announced itself. */
struct probe {
    struct announcement said;
    pid_t pid; /* as the test process sees it */
};

/* The stage that a probe is: PROBE("announce", "0") is stage 0. */
static size_t UNUSED_ stage_of(struct probe probe)
{
    return strtoul(probe.said.name, NULL, 10);
}

/* Makes the puppet's descriptor 2 the socket on which probes announce
 * themselves, and which is their gate: PROBE("announce", "0", "gate", "2"). */
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

/* Receives the next message, if there is one; returns whether it is an
 * announcement and not, say, an error message of a child. */
static bool UNUSED_ control_receive_once(struct control control, struct probe *probe, bool *more)
{
    union {
        struct cmsghdr align;
        char bytes[CMSG_SPACE(sizeof(struct ucred))];
    } space;
    struct iovec place = {&probe->said, sizeof probe->said};
    struct msghdr message = {
        .msg_iov = &place, .msg_iovlen = 1, .msg_control = &space, .msg_controllen = sizeof space};
    ssize_t n = recvmsg(control.fd, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    struct cmsghdr *header = n > 0 ? CMSG_FIRSTHDR(&message) : NULL;
    struct ucred sender;

    *more = n > 0;
    if (n != sizeof probe->said || message.msg_flags & MSG_TRUNC || header == NULL ||
        header->cmsg_type != SCM_CREDENTIALS || probe->said.magic != PROBE_MAGIC)
        return false;
    memcpy(&sender, CMSG_DATA(header), sizeof sender);
    probe->said.name[sizeof probe->said.name - 1] = '\0';
    probe->pid = sender.pid;
    return true;
}

/* Receives the next announcement, if there is one. */
static bool UNUSED_ control_receive(struct control control, struct probe *probe)
{
    bool more = true;

    while (more)
        if (control_receive_once(control, probe, &more))
            return true;
    return false;
}

/* Lets one probe pass its gate, no matter which one. */
static void UNUSED_ control_open_one_gate(struct control control)
{
    if (send(control.fd, "", 1, MSG_NOSIGNAL) != 1)
        fail_msg("no process has the caller's descriptor 2, a socket, open, or it was shut down");
}

/* Lets all probes pass their gates, from now on. */
static void UNUSED_ control_open_gates(struct control control)
{
    if (shutdown(control.fd, SHUT_WR) == -1)
        fail_msg("the caller's descriptor 2, a socket, was shut down");
}

/* Waits until the probes "0", "1", ... have announced themselves during a call
 * of the puppet, and stores them in probes[0 .. n - 1]. */
static void UNUSED_ control_await_probes(struct control control, struct puppet *p,
                                         struct probe probes[], size_t n)
{
    struct probe next;
    size_t missing = n;
    enum puppet_state state = puppet_settle(p);

    if (state == PUPPET_RETURNED || state == PUPPET_DEAD) {
        int result = finish(p); /* reports how it died, if it did */

        fail_msg("pipeline_run returned %d (%s) while its stages should be running", result,
                 error_name(errno));
    }
    for (size_t i = 0; i < n; i++)
        probes[i].pid = 0;
    while (missing > 0) {
        WAIT_UNTIL(control_receive(control, &next));

        size_t i = stage_of(next);

        if (i >= n || probes[i].pid != 0)
            fail_msg("stage \"%s\" was started more than once", next.said.name);
        probes[i] = next;
        missing--;
    }
}

/* Makes a separate gate, for processes that are not stages: they wait at
 * descriptor `number` until gate_open() with the returned descriptor. */
static int UNUSED_ gate_make(struct puppet *p, int number)
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

static const char UNUSED_ *describe_cloexec(bool cloexec)
{
    return cloexec ? "close-on-exec" : "inheritable";
}

/* Fails unless a puppet has the same descriptors as before, with the same
 * close-on-exec flags. */
static void UNUSED_ assert_fds_unchanged(struct puppet *p, struct fds before)
{
    struct fds now = fds_of(puppet_pid(p));

    for (size_t i = 0; i < now.n; i++)
        for (size_t k = 0; k < before.n; k++)
            if (now.at[i].fd == before.at[k].fd && now.at[i].cloexec != before.at[k].cloexec)
                fail_msg("the caller's descriptor %d was %s before the call and is %s now",
                         now.at[i].fd, describe_cloexec(before.at[k].cloexec),
                         describe_cloexec(now.at[i].cloexec));
    assert_fds_are(puppet_pid(p), before.at, before.n);
}

/* ---- programs ------------------------------------------------------------ */

struct outcome {
    char command[300]; /* as a user would type it, for messages */
    int wstatus;       /* as waitpid stores it */
    int in;
    int out;
    int err;
};

/* A command line quoted for a shell, without the directory of the program. */
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

/* Runs a program of the sandbox to its end, with this input, in a puppet of
 * its own. */
static struct outcome UNUSED_ run_program(const char *input, const char *const argv[])
{
    struct outcome outcome = {"", 0, input_file(input), output_file(), file_named("err", "", 0)};
    struct puppet *p = puppet_start();

    print_command(outcome.command, sizeof outcome.command, argv);

    puppet_give_fd(p, outcome.in, STDIN_FILENO);
    puppet_give_fd(p, outcome.out, STDOUT_FILENO);
    puppet_give_fd(p, outcome.err, STDERR_FILENO);
    puppet_exec(p, argv);
    outcome.wstatus = puppet_wait(p);
    return outcome;
}

#define PROGRAM(...) run_program("", (const char *const[]){__VA_ARGS__, NULL})

static void UNUSED_ outcome_close(struct outcome outcome)
{
    close(outcome.in);
    close(outcome.out);
    close(outcome.err);
}

/* Outputs that assert_outcome does not check, and that must not be empty. */
#define ANYTHING NULL
static const char UNUSED_ SOMETHING[] = "something";

static void UNUSED_ check_printed(const char *command, const char *stream, int fd,
                                  const char *expected)
{
    char *text = contents(fd);
    char have[300], want[300];

    if (expected == SOMETHING && *text == '\0')
        fail_msg("%s: wrote nothing to %s", command, stream);
    if (expected != SOMETHING && expected != ANYTHING && strcmp(text, expected) != 0)
        fail_msg("%s: %s is \"%s\"; expected: \"%s\"", command, stream,
                 quoted(text, have, sizeof have), quoted(expected, want, sizeof want));
    free(text);
}

/* Fails, naming the command line, unless a program exited with this status and
 * wrote this output; closes its files. */
static void UNUSED_ assert_outcome(struct outcome outcome, int exit_status, const char *out,
                                   const char *err)
{
    if (outcome.wstatus != W_EXITCODE(exit_status, 0)) {
        char *complaint = contents(outcome.err);
        char said[300];

        fail_msg("%s: it %s; expected: exit status %d; standard error is \"%s\"", outcome.command,
                 describe_wstatus(outcome.wstatus), exit_status,
                 quoted(complaint, said, sizeof said));
    }
    check_printed(outcome.command, "standard output", outcome.out, out);
    check_printed(outcome.command, "standard error", outcome.err, err);
    outcome_close(outcome);
}

/* The output of a shell command in the sandbox, without the final newline.  For
 * what a test needs there, such as a directory, never for a verdict on its own. */
static char UNUSED_ *shell(const char *command, const char *argument)
{
    struct outcome outcome = PROGRAM("/bin/sh", "-c", command, "sh", argument);
    char *text = contents(outcome.out);
    size_t len = strlen(text);

    if (outcome.wstatus != 0) {
        char *complaint = contents(outcome.err);

        testkit_broken("sh -c '%s' %s: %s", command, describe_wstatus(outcome.wstatus), complaint);
    }
    if (len > 0 && text[len - 1] == '\n')
        text[len - 1] = '\0';
    outcome_close(outcome);
    return text;
}

#endif
