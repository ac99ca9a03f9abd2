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
