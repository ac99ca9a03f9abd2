/* Design: counts the stages first; getopt_long parses the options. */
#define _GNU_SOURCE
#include "pipeline.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct option options[] = {{"status", no_argument, NULL, 's'}, {NULL, 0, NULL, 0}};

static int usage(void)
{
    fputs("usage: pipeline [--status] command [arg]... ['|' command [arg]...]...\n", stderr);
    return 2;
}

static int shell_status(int wstatus)
{
    if (WIFEXITED(wstatus))
        return WEXITSTATUS(wstatus);
    return 128 + WTERMSIG(wstatus);
}

int main(int argc, char **argv)
{
    int print = 0;
    int option;
    size_t nstages = 1;

    while ((option = getopt_long(argc, argv, "+", options, NULL)) != -1) {
        if (option != 's')
            return usage();
        print = 1;
    }
    argv += optind;
    argc -= optind;
    for (int i = 0; i < argc; i++)
        nstages += strcmp(argv[i], "|") == 0;

    struct pipeline_stage stages[nstages];
    int status[nstages];
    int at = 0;

    for (size_t i = 0; i < nstages; i++) {
        stages[i].argv = argv + at;
        if (at >= argc || strcmp(argv[at], "|") == 0)
            return usage();
        while (at < argc && strcmp(argv[at], "|") != 0)
            at++;
        argv[at++] = NULL;
    }

    if (pipeline_run(stages, nstages, 0, 1, status) == -1) {
        perror("pipeline");
        return 125;
    }
    for (size_t i = 0; print && i < nstages; i++)
        fprintf(stderr, "%s%d%s", i == 0 ? "status: " : " ", shell_status(status[i]),
                i == nstages - 1 ? "\n" : "");
    return shell_status(status[nstages - 1]);
}
