/* main.c - the program `pipeline`: a shell's pipelines without the shell.
 *
 * Its usage and exit statuses are in pipeline.h; pipeline.c does the work.
 */
#define _GNU_SOURCE
#include "pipeline.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { EXIT_USAGE = 2, EXIT_FAILED = 125 };

static void usage(const char *problem)
{
    fprintf(stderr, "pipeline: %s\n", problem);
    fprintf(stderr, "usage: pipeline [--status] COMMAND [ARG]... ['|' COMMAND [ARG]...]...\n");
    exit(EXIT_USAGE);
}

#ifdef SOLUTION
static void *checked(void *memory)
{
    if (memory == NULL) {
        perror("pipeline");
        exit(EXIT_FAILED);
    }
    return memory;
}

/* Opens /dev/null at 0, 1 and 2 where they are closed, for the wrong direction:
 * a stage that reads a closed standard input gets EBADF, as it would from a
 * shell, and a stage that does not read it is not affected. */
static void fill_standard_descriptors(void)
{
    static const int flags[] = {O_WRONLY, O_RDONLY, O_RDONLY};

    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) == -1 && open("/dev/null", flags[fd]) != fd)
            exit(EXIT_FAILED);
}

/* Splits argv at every "|", which it overwrites with NULL; each stage's argv
 * points into it.  Returns the number of stages. */
static size_t parse(char *argv[], struct pipeline_stage *stages)
{
    size_t nstages = 0;
    char **start = argv;

    for (char **arg = argv;; arg++) {
        bool end = *arg == NULL;

        if (!end && strcmp(*arg, "|") != 0)
            continue;
        if (arg == start)
            usage(end && nstages == 0 ? "no command" : "missing command before or after |");
        *arg = NULL;
        stages[nstages++].argv = start;
        if (end)
            return nstages;
        start = arg + 1;
    }
}

static int exit_status(int wstatus)
{
    return WIFSIGNALED(wstatus) ? 128 + WTERMSIG(wstatus) : WEXITSTATUS(wstatus);
}

int main(int argc, char *argv[])
{
    bool print_status = false;
    int first = 1;

    fill_standard_descriptors();
    for (; first < argc && argv[first][0] == '-' && argv[first][1] != '\0'; first++) {
        if (strcmp(argv[first], "--") == 0) {
            first++;
            break;
        }
        if (strcmp(argv[first], "--status") != 0)
            usage("unknown option");
        print_status = true;
    }

    /* each stage takes at least one argument */
    struct pipeline_stage *stages = checked(calloc((size_t)argc, sizeof *stages));
    int *status = checked(calloc((size_t)argc, sizeof *status));
    size_t nstages = parse(argv + first, stages);

    if (pipeline_run(stages, nstages, STDIN_FILENO, STDOUT_FILENO, status) == -1) {
        perror("pipeline");
        return EXIT_FAILED;
    }
    if (print_status) {
        fprintf(stderr, "status:");
        for (size_t i = 0; i < nstages; i++)
            fprintf(stderr, " %d", exit_status(status[i]));
        fprintf(stderr, "\n");
    }

    int result = exit_status(status[nstages - 1]);

    free(status);
    free(stages);
    return result;
}
#else
/* TODO(04-pipeline): this runs one command.  It does not split its arguments at
 * |, knows no option, and exits with 0 when a signal killed the command. */
int main(int argc, char *argv[])
{
    if (argc < 2)
        usage("no command");

    struct pipeline_stage stage = {argv + 1};
    int status;

    if (pipeline_run(&stage, 1, STDIN_FILENO, STDOUT_FILENO, &status) == -1) {
        perror("pipeline");
        return EXIT_FAILED;
    }
    return WEXITSTATUS(status);
}
#endif
