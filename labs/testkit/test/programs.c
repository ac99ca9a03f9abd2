/* programs.c - a puppet's descriptors, and programs that it executes. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "failure.h"
#include "frames.h"
#include "session.h"
#include "shared/text.h"

void puppet_give_fd(struct puppet *p, int fd, int as_number)
{
    struct frame request = {.kind = FRAME_GIVE_FD, .words = {as_number}, .text = "puppet_give_fd"};

    if (as_number < 0 || as_number >= OWN_FDS)
        testkit_broken("puppet_give_fd: %d is not 0 to %d", as_number, OWN_FDS - 1);
    puppet_request(p, &request, fd);
}

void puppet_close_fd(struct puppet *p, int number)
{
    struct frame request = {.kind = FRAME_CLOSE_FD, .words = {number}, .text = "puppet_close_fd"};

    puppet_request(p, &request, -1);
}

const char *program_path(const char *name)
{
    char path[512];

    if (!session.programs)
        testkit_broken("--programs is missing; the test needs %s", name);
    snprintf(path, sizeof path, "%s/%s", session.programs, name);
    return test_string(path);
}

static void describe_argv(char *text, size_t size, const char *const argv[])
{
    text[0] = '\0';
    for (size_t i = 0; argv[i]; i++)
        text_add(text, size, "%s%s", i == 0 ? "" : " ", argv[i]);
}

/* Sends the strings of argv, each with its null byte. */
static void send_argv(struct puppet *p, const char *const argv[], size_t bytes)
{
    char *text = test_alloc(bytes), *at = text;

    for (size_t i = 0; argv[i]; i++)
        at = stpcpy(at, argv[i]) + 1;
    if (send(p->socket, text, bytes, MSG_NOSIGNAL) < 0 && errno != EPIPE)
        sandbox_spoiled("it takes no %zu bytes of arguments: %s", bytes, strerror(errno));
}

/* Whether one of the arguments is a program of the lab or the submission. */
static bool names_program(const char *const argv[])
{
    for (size_t i = 0; argv[i]; i++)
        if (session.programs && strstr(argv[i], session.programs))
            return true;
    return false;
}

void puppet_exec(struct puppet *p, const char *const argv[])
{
    struct frame request = {.kind = FRAME_EXEC, .text = "puppet_exec"};

    for (size_t i = 0; argv[i]; i++) {
        request.words[0]++;
        request.words[1] += strlen(argv[i]) + 1;
    }
    puppet_expect_idle(p, argv[0]);
    describe_argv(p->doing, sizeof p->doing, argv);
    session.calls_begun |= names_program(argv);
    puppet_send(p, &request, -1);
    send_argv(p, argv, request.words[1]);
    puppet_receive_refusal(p);
    note_call("program started: %s", p->doing);
}

int puppet_wait(struct puppet *p)
{
    puppet_await_end(p);
    return p->status;
}
