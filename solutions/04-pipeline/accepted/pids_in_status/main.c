/* Design: splits the arguments in one pass. */
#define _GNU_SOURCE
#include "pipeline.h"

#include <errno.h>
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

static int exit_status(int wstatus)
{
    return WIFSIGNALED(wstatus) ? 128 + WTERMSIG(wstatus) : WEXITSTATUS(wstatus);
}

int main(int argc, char *argv[])
{
    bool print = false;
    int at = 1;

    for (; at < argc && argv[at][0] == '-' && argv[at][1] != '\0'; at++) {
        if (strcmp(argv[at], "--") == 0) {
            at++;
            break;
        }
        if (strcmp(argv[at], "--status") != 0)
            usage("no such option");
        print = true;
    }
    if (at >= argc)
        usage("no command");

    size_t nstages = 0;
    struct pipeline_stage *stages = calloc((size_t)argc, sizeof *stages);
    int *status = calloc((size_t)argc, sizeof *status);

    if (stages == NULL || status == NULL) {
        perror("pipeline");
        return EXIT_FAILED;
    }
    while (true) {
        int first = at;

        while (at < argc && strcmp(argv[at], "|") != 0)
            at++;
        if (at == first)
            usage("a command is missing before, between or after |");
        stages[nstages++].argv = argv + first;
        if (at == argc)
            break;
        argv[at++] = NULL;
    }

    int result = pipeline_run(stages, nstages, STDIN_FILENO, STDOUT_FILENO, status);

    if (result == -1) {
        perror("pipeline");
        result = EXIT_FAILED;
    } else {
        if (print) {
            fprintf(stderr, "status:");
            for (size_t i = 0; i < nstages; i++)
                fprintf(stderr, " %d", exit_status(status[i]));
            fprintf(stderr, "\n");
        }
        result = exit_status(status[nstages - 1]);
    }
    free(stages);
    free(status);
    return result;
}
