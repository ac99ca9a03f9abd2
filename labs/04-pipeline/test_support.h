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
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support.h"

#include "pipeline.h"
#include "probe.h"

/* Descriptor numbers in the puppet. */
enum { IN = 10, OUT = 11 };

enum { MAX_FDS = 100 };

/* ---- files ---------------------------------------------------------------- */

/* Makes an input readable from its beginning again, and empties an output. */
static inline void rewind_files(int in, int out)
{
    file_rewind(in);
    file_clear(out);
}

/* A puppet with these files as its descriptors IN and OUT. */
static inline struct puppet *puppet_with_files(int in, int out)
{
    struct puppet *p = puppet_start();

    puppet_give_fd(p, in, IN);
    puppet_give_fd(p, out, OUT);
    return p;
}

/* ---- pipelines ------------------------------------------------------------ */

typedef const char *const *command; /* the test's own argv; NULL for a stage without one */

/* The test's own: each call gets a copy in memory that your code can read. */
struct pipeline {
    size_t nstages;
    command *commands;
    int *status;     /* a copy of status[], made when the call has returned */
    int *status_out; /* what the call writes */
};

static inline struct pipeline pipeline_of(size_t nstages, const command commands[])
{
    size_t status_bytes = nstages * sizeof(int);
    int *status_out = arena_out("status", status_bytes);

    return (struct pipeline){nstages, test_copy(commands, nstages * sizeof commands[0]),
                             test_copy(status_out, status_bytes), status_out};
}

static inline command command_of(const char *const argv[])
{
    size_t n = 0;
    const char **copy;

    while (argv[n] != NULL)
        n++;
    copy = test_alloc((n + 1) * sizeof argv[0]);
    for (size_t i = 0; i < n; i++)
        copy[i] = test_string(argv[i]);
    return copy;
}

/* PIPELINE(CMD("ls", "-1"), CMD("sort"), PROBE("pass")) */
#define CMD(...) command_of((const char *const[]){__VA_ARGS__, NULL})
#define PIPELINE(...)                                                                              \
    pipeline_of(sizeof((command[]){__VA_ARGS__}) / sizeof(command), (command[]){__VA_ARGS__})
#define PROBE(...) CMD(program_path("probe"), __VA_ARGS__)

/* A copy of the stages, for one call. */
static inline const struct pipeline_stage *stages_of(struct pipeline pipeline)
{
    struct pipeline_stage *stages = test_alloc(pipeline.nstages * sizeof stages[0]);

    for (size_t i = 0; i < pipeline.nstages; i++)
        if (pipeline.commands[i] != NULL)
            stages[i].argv = arena_argv(pipeline.commands[i]);
    return arena_input("stages", stages, pipeline.nstages * sizeof stages[0]);
}

static inline void copy_status(struct pipeline pipeline)
{
    memcpy(pipeline.status, pipeline.status_out, pipeline.nstages * sizeof pipeline.status[0]);
}

/* For a call that has to wait: begin(p, run_pipeline(pipeline, IN, OUT)), and then
 * finish_pipeline(p, pipeline). */
static inline int run_pipeline(struct pipeline pipeline, int in, int out)
{
    int result;

    memset(pipeline.status_out, 0xA5, pipeline.nstages * sizeof pipeline.status_out[0]);
    result = pipeline_run(stages_of(pipeline), pipeline.nstages, in, out, pipeline.status_out);
    copy_status(pipeline);
    return result;
}

static inline int finish_pipeline(struct puppet *p, struct pipeline pipeline)
{
    int result = finish(p);

    copy_status(pipeline);
    return result;
}

/* Fails unless a call to pipeline_run, or the finish() of one, returned 0. */
static inline void assert_succeeds(int result)
{
    if (result == -1)
        fail_call("pipeline_run returned -1 (%s); expected: 0", error_name(errno));
    if (result != 0)
        fail_call("pipeline_run returned %d; expected: 0", result);
}
#define assert_succeeds(result) FROM_HERE(assert_succeeds(result))

/* Fails unless pipeline_run returned 0 and every stage exited with 0. */
#define assert_pipeline_succeeds(pipeline_, in, out)                                               \
    do {                                                                                           \
        struct pipeline once_ = (pipeline_);                                                       \
        assert_succeeds(run_pipeline(once_, in, out));                                             \
        for (size_t i_ = 0; i_ < once_.nstages; i_++)                                              \
            assert_stage_exited(once_, i_, 0);                                                     \
    } while (0)

/* Whether an element of status[] still has the value that arena_out() set. */
static inline bool is_unwritten(int wstatus)
{
    return (unsigned)wstatus == 0xA5A5A5A5u;
}

/* What became of a stage, by its wait status: "ended with exit status 3". */
static inline const char *stage_status_text(int wstatus)
{
    if (wstatus == -1)
        return "was never started (-1)";
    if (is_unwritten(wstatus))
        return "has no status: nothing was stored there";
    return status_text(wstatus);
}

static inline void assert_wstatus(size_t stage, int wstatus, int expected)
{
    bool same_signal = WIFSIGNALED(wstatus) && WIFSIGNALED(expected) &&
                       WTERMSIG(wstatus) == WTERMSIG(expected); /* core dumped or not */

    if (wstatus != expected && !same_signal)
        fail_call("status[%zu] says that the stage %s; expected: it %s", stage,
                  stage_status_text(wstatus), stage_status_text(expected));
}

#define assert_stage_exited(pipeline, stage, code)                                                 \
    FROM_HERE(assert_wstatus(stage, (pipeline).status[stage], W_EXITCODE(code, 0)))
#define assert_stage_killed(pipeline, stage, number)                                               \
    FROM_HERE(assert_wstatus(stage, (pipeline).status[stage], W_EXITCODE(0, number)))

/* ---- descriptors --------------------------------------------------------- */

struct fds {
    struct fd_info at[MAX_FDS];
    size_t n;
};

static inline struct fds fds_of(pid_t pid)
{
    struct fds fds;

    fds.n = process_fds(pid, fds.at, MAX_FDS);
    return fds;
}

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
static inline size_t stage_of(struct probe probe)
{
    return strtoul(probe.said.name, NULL, 10);
}

/* Makes the puppet's descriptor 2 the socket on which probes announce
 * themselves, and which is their gate: PROBE("announce", "0", "gate", "2"). */
static inline struct control control_open(struct puppet *p)
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
static inline bool control_receive_once(struct control control, struct probe *probe, bool *more)
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
static inline bool control_receive(struct control control, struct probe *probe)
{
    bool more = true;

    while (more)
        if (control_receive_once(control, probe, &more))
            return true;
    return false;
}

/* Lets one probe pass its gate, no matter which one. */
static inline void control_open_one_gate(struct control control)
{
    if (send(control.fd, "", 1, MSG_NOSIGNAL) != 1)
        fail_msg("no process has the caller's descriptor 2, a socket, open, or it was shut down");
}

/* Lets all probes pass their gates, from now on. */
static inline void control_open_gates(struct control control)
{
    if (shutdown(control.fd, SHUT_WR) == -1)
        fail_msg("the caller's descriptor 2, a socket, was shut down");
}

/* Fails unless a probe is a stage of its own: a child of the caller that executes
 * the command, and has not announced itself as another stage. */
static inline void check_stage(struct puppet *p, const struct probe probes[], size_t n,
                               const struct probe *next)
{
    size_t stage = stage_of(*next);
    pid_t parent = process_parent(next->pid); /* 0 when it has been waited for */
    char program[512];

    if (stage >= n || probes[stage].pid != 0)
        fail_call("stage \"%s\" was started more than once", next->said.name);
    if (parent != 0 && parent != puppet_pid(p))
        fail_call("stage %zu is not a child of the process that called pipeline_run", stage);
    if (process_program(next->pid, program, sizeof program) && !strstr(program, "/probe"))
        fail_call("stage %zu does not execute its command", stage);
    if (parent != 0 && process_has_mapped(next->pid, "submission.so"))
        fail_call("stage %zu was started with the caller's library preloaded", stage);
    for (size_t i = 0; i < n; i++)
        if (probes[i].pid == next->pid)
            fail_call("one process announced itself as stages %zu and %zu", i, stage);
}

/* What a descriptor of a process refers to; "" when it is closed, or the process has
 * ended. */
static inline struct fd_info fd_of(pid_t pid, int number)
{
    struct fds fds = fds_of(pid);

    for (size_t i = 0; i < fds.n; i++)
        if (fds.at[i].fd == number)
            return fds.at[i];
    return (struct fd_info){.fd = number};
}

/* Fails unless each stage that is alive writes to the pipe that the next one reads. */
static inline void check_connections(const struct probe probes[], size_t n)
{
    for (size_t i = 0; i + 1 < n; i++) {
        struct fd_info output = fd_of(probes[i].pid, STDOUT_FILENO);
        struct fd_info input = fd_of(probes[i + 1].pid, STDIN_FILENO);

        if (output.target[0] != '\0' && input.target[0] != '\0' &&
            (strncmp(output.target, "pipe:", 5) != 0 || strcmp(output.target, input.target) != 0))
            fail_call("stage %zu writes to %s, and stage %zu reads from %s", i, output.target,
                      i + 1, input.target);
    }
}

/* Waits until the probes "0", "1", ... have announced themselves during a call
 * of the puppet, and stores them in probes[0 .. n - 1]. */
static inline void control_await_probes(struct control control, struct puppet *p,
                                        struct probe probes[], size_t n)
{
    struct probe next;
    size_t missing = n;
    enum puppet_state state = puppet_settle(p);

    if (state == PUPPET_RETURNED || state == PUPPET_DEAD) {
        int result = finish(p); /* reports how it died, if it did */

        fail_call("pipeline_run returned %d (%s) while its stages should be running", result,
                  error_name(errno));
    }
    for (size_t i = 0; i < n; i++)
        probes[i].pid = 0;
    while (missing > 0) {
        WAIT_UNTIL(control_receive(control, &next));
        check_stage(p, probes, n, &next);
        probes[stage_of(next)] = next;
        missing--;
    }
    check_connections(probes, n);
}
#define control_await_probes(...) FROM_HERE(control_await_probes(__VA_ARGS__))

/* Makes a separate gate, for processes that are not stages: they wait at
 * descriptor `number` until gate_open() with the returned descriptor. */
static inline int gate_make(struct puppet *p, int number)
{
    int ends[2];

    if (pipe2(ends, O_CLOEXEC) == -1)
        testkit_broken("cannot make a gate: %s", strerror(errno));
    puppet_give_fd(p, ends[0], number);
    close(ends[0]);
    return ends[1];
}

static inline void gate_open(int gate)
{
    close(gate);
}

/* ---- descriptors that a call must leave alone ------------------------------- */

static inline const char *describe_cloexec(bool cloexec)
{
    return cloexec ? "close-on-exec" : "inheritable";
}

/* Fails unless a puppet has the same descriptors as before, with the same
 * close-on-exec flags. */
static inline void assert_fds_unchanged(struct puppet *p, struct fds before)
{
    struct fds now = fds_of(puppet_pid(p));

    for (size_t i = 0; i < now.n; i++)
        for (size_t k = 0; k < before.n; k++)
            if (now.at[i].fd == before.at[k].fd && now.at[i].cloexec != before.at[k].cloexec)
                fail_call("the caller's descriptor %d was %s before the call and is %s now",
                          now.at[i].fd, describe_cloexec(before.at[k].cloexec),
                          describe_cloexec(now.at[i].cloexec));
    assert_fds_are(puppet_pid(p), before.at, before.n);
}
#define assert_fds_unchanged(...) FROM_HERE(assert_fds_unchanged(__VA_ARGS__))

#endif
