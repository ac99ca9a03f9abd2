/* Design: as the reference's; this version is about pipeline.c. */
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

static void *checked(void *memory)
{
    if (memory == NULL) {
        perror("pipeline");
        exit(EXIT_FAILED);
    }
    return memory;
}

/* Fills 0, 1 and 2, if they are closed, with something that cannot be used
 * the way its number says: a stage that reads a closed standard input gets
 * EBADF, as it would from a shell, and one that does not is not bothered. */
static void fill_standard_descriptors(void)
{
    static const int flags[] = {O_WRONLY, O_RDONLY, O_RDONLY};

    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) == -1 && open("/dev/null", flags[fd]) != fd)
            exit(EXIT_FAILED);
}

/* Cuts argv at every "|", which becomes NULL; the stages point into it. */
static size_t parse(char *argv[], struct pipeline_stage *stages)
{
    size_t nstages = 0;
    char **start = argv;

    for (char **word = argv;; word++) {
        bool end = *word == NULL;

        if (!end && strcmp(*word, "|") != 0)
            continue;
        if (word == start)
            usage(end && nstages == 0 ? "no command" : "a command is missing at |");
        *word = NULL;
        stages[nstages++].argv = start;
        if (end)
            return nstages;
        start = word + 1;
    }
}

static int exit_status(int word)
{
    return WIFSIGNALED(word) ? 128 + WTERMSIG(word) : WEXITSTATUS(word);
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
            usage("there is no such option");
        print_status = true;
    }

    /* every stage takes at least one word */
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
