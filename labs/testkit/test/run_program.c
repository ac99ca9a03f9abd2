/* run_program.c - runs programs in the sandbox and checks their exit status and
 * output (support.h).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "session.h"
#include "support.h"

const char SOMETHING[] = "something";

/* A command line in the shell's syntax, without the directories of absolute
 * paths. */
static void describe_command(char *text, size_t size, const char *const argv[])
{
    static const char unquoted[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                   "0123456789-+./=,:_";

    text[0] = '\0';
    for (size_t i = 0; argv[i]; i++) {
        const char *shown = argv[i][0] == '/' ? strrchr(argv[i], '/') + 1 : argv[i];
        const char *mark = argv[i][strspn(argv[i], unquoted)] == '\0' ? "" : "'";

        if (!text_add(text, size, "%s%s%.100s%s", i == 0 ? "" : " ", mark, quoted(shown), mark))
            return;
    }
}

struct outcome run_program(const char *input, const char *const argv[])
{
    struct outcome outcome = {
        .in = input_file(input), .out = output_file(), .err = file_new("err", "", 0)};
    struct puppet *before = puppet_current();
    struct puppet *p = puppet_start();

    describe_command(outcome.command, sizeof outcome.command, argv);
    puppet_give_fd(p, outcome.in, STDIN_FILENO);
    puppet_give_fd(p, outcome.out, STDOUT_FILENO);
    puppet_give_fd(p, outcome.err, STDERR_FILENO);
    puppet_exec(p, argv);
    outcome.status = puppet_wait(p);
    puppet_use(before);
    return outcome;
}

struct outcome run_given_program(const char *const argv[])
{
    bool calls_begun = session.calls_begun;
    struct outcome outcome = run_program("", argv);

    session.calls_begun = calls_begun;
    if (!WIFEXITED(outcome.status))
        sandbox_spoiled("%s %s", outcome.command, status_text(outcome.status));
    return outcome;
}

void outcome_close(const struct outcome *outcome)
{
    close(outcome->in);
    close(outcome->out);
    close(outcome->err);
}

static void check_written(const char *command, const char *stream, int fd, const char *expected)
{
    char *text = file_contents(fd);

    if (expected == SOMETHING && *text == '\0')
        fail_call("%s: it wrote nothing to %s", command, stream);
    if (expected != SOMETHING && expected != ANYTHING && strcmp(text, expected) != 0)
        fail_call("%s: %s is \"%s\"; expected: \"%s\"", command, stream, quoted(text),
                  quoted(expected));
    free(text);
}

void check_outcome(struct outcome outcome, int exit_status, const char *out, const char *err,
                   const char *file, int line)
{
    from_here(file, line);
    if (outcome.status != W_EXITCODE(exit_status, 0))
        fail_call("%s: it %s; expected: exit status %d; standard error is \"%s\"", outcome.command,
                  status_text(outcome.status), exit_status, quoted(file_contents(outcome.err)));
    check_written(outcome.command, "standard output", outcome.out, out);
    check_written(outcome.command, "standard error", outcome.err, err);
    outcome_close(&outcome);
}

char *run_shell(const char *command, const char *argument)
{
    struct outcome outcome = RUN_PROGRAM("/bin/sh", "-c", command, "sh", argument);
    char *text = file_contents(outcome.out);
    size_t length = strlen(text);

    if (outcome.status != 0)
        sandbox_spoiled("sh -c '%s' %s: %s", command, status_text(outcome.status),
                        quoted(file_contents(outcome.err)));
    if (length > 0 && text[length - 1] == '\n')
        text[length - 1] = '\0';
    outcome_close(&outcome);
    return text;
}
