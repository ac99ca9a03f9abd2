/* stage.c - the test's end of the stage: the box's first process, which forks
 * puppets on request (puppet.c).  labkit starts the stage in a box and hands
 * over its socket; in a student's own folder it is started here.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "channel.h"
#include "session.h"

enum { MAX_WORDS = 64, STAGE_SECONDS = 30 };

/* Where a program that holds the stage (gdb, valgrind) comes first, its words
 * are separated by spaces. */
static void run_stage(int fd)
{
    char *argv[MAX_WORDS + 8];
    char number[16];
    size_t n = 0;

    if (session.wrap)
        for (char *word = strtok(strdup(session.wrap), " "); word && n < MAX_WORDS;
             word = strtok(NULL, " "))
            argv[n++] = word;
    snprintf(number, sizeof number, "%d", fd);
    argv[n++] = (char *)session.puppet_path;
    argv[n++] = "--stage";
    argv[n++] = number;
    argv[n++] = "--submission";
    argv[n++] = (char *)session.submission_path;
    if (session.wrap)
        argv[n++] = "--debug";
    argv[n] = NULL;
    execvp(argv[0], argv);
    testkit_broken("cannot execute %s: %s", argv[0], strerror(errno));
}

void stage_open(void)
{
    struct timeval wait = {.tv_sec = limit(STAGE_SECONDS)};
    int ends[2];

    if (session.stage < 0) {
        if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) < 0)
            testkit_broken("socketpair: %s", strerror(errno));
        session.own_stage = true;
        session.stage_pid = fork();
        if (session.stage_pid < 0)
            testkit_broken("fork: %s", strerror(errno));
        if (session.stage_pid == 0) {
            close(ends[0]);
            run_stage(ends[1]);
        }
        close(ends[1]);
        session.stage = ends[0];
    }
    fcntl(session.stage, F_SETFD, FD_CLOEXEC);
    setsockopt(session.stage, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
}

void stage_close(void)
{
    if (session.stage < 0)
        return;
    close(session.stage);
    session.stage = -1;
    session.box = 0;
    if (session.own_stage)
        waitpid(session.stage_pid, NULL, 0);
}

/* Before student code has run, it cannot be its fault; after, whatever holds
 * the box up or ended it came from the submission. */
__attribute__((noreturn)) static void box_is_gone(const char *how)
{
    if (!session.calls_begun)
        testkit_broken("the box did not work: %s", how);
    if (session.own_stage)
        kill(session.stage_pid, SIGKILL);
    stage_close();
    test_fail("the box in which the submission ran %s", how);
    abort(); /* test_fail() does not return, but does not say so */
}

static ssize_t stage_message(const struct frame *question, int give_fd, void *message, size_t size,
                             int *fd)
{
    ssize_t n;

    if (session.stage < 0 && !session.puppet_path)
        test_fail("an earlier test ended the box in which the submission ran");
    if (session.stage < 0)
        stage_open();
    if (channel_send(session.stage, question, give_fd) < 0)
        box_is_gone("has ended");
    n = fd ? channel_receive(session.stage, message, fd) : recv(session.stage, message, size, 0);
    if (n < 0)
        box_is_gone(errno == EAGAIN ? "does not answer" : strerror(errno));
    if (n == 0)
        box_is_gone("has ended");
    return n;
}

bool stage_ask(struct frame *question, int give_fd, struct frame *answer, int *fd)
{
    question->nonce = nonce_new();
    if (stage_message(question, give_fd, answer, sizeof *answer, fd) != sizeof *answer ||
        answer->nonce != question->nonce)
        testkit_broken("the stage and the test do not speak the same language: "
                       "were they built from the same kit?");
    return answer->kind != FRAME_FAILED;
}

void stage_sweep(void)
{
    struct frame question = {.kind = FRAME_SWEEP}, answer;
    int fd;

    if (session.stage >= 0)
        stage_ask(&question, -1, &answer, &fd);
}

char *stage_objects(void)
{
    static char text[OBJECTS_BYTES];
    struct frame question = {.kind = FRAME_OBJECTS};
    ssize_t n = stage_message(&question, -1, text, sizeof text - 1, NULL);

    text[n] = '\0';
    return text;
}
