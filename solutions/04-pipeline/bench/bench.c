/* bench.c - compares pipelines with those of the shells, all in one run.
 *
 *     bench ROUNDS BULK_ROUNDS NAME=PROGRAM...
 *
 * A program called dash or bash gets the command line as the argument of -c; any
 * other program is a `pipeline` and gets it split into arguments.  Each round
 * runs every program once and starts with a different one.  The output is the
 * medians and their ratios to dash and bash; only ratios within one run are
 * meaningful.
 */
#define _GNU_SOURCE
#include <err.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { MAX_CONTENDERS = 8, MAX_ROUNDS = 2000, MAX_ARGS = 64, BULK_BYTES = 256 << 20 };

struct contender {
    const char *name;
    char *program;
    double ms[MAX_ROUNDS];
};

static struct contender contenders[MAX_CONTENDERS];
static int ncontenders;

static double now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* Splits `line`, which it overwrites, into argv[1], argv[2], ... */
static void split(char *line, char *argv[])
{
    char *rest;
    int n = 1;

    for (char *arg = strtok_r(line, " ", &rest); arg; arg = strtok_r(NULL, " ", &rest))
        argv[n++] = arg;
    argv[n] = NULL;
}

static double run_once(const struct contender *contender, const char *line, int input, int output)
{
    static char *environment[] = {"PATH=/usr/bin:/bin", "LC_ALL=C", NULL};
    const char *base = strrchr(contender->program, '/');
    bool shell = base && (strcmp(base, "/dash") == 0 || strcmp(base, "/bash") == 0);
    char command[1000];
    char *argv[MAX_ARGS] = {contender->program, "-c", command, NULL};
    posix_spawn_file_actions_t actions;
    pid_t pid;
    int status;

    snprintf(command, sizeof command, "%s", line);
    if (!shell)
        split(command, argv);
    if (lseek(input, 0, SEEK_SET) == -1)
        err(1, "lseek");
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, input, 0);
    posix_spawn_file_actions_adddup2(&actions, output, 1);

    double start = now_ms();

    if (posix_spawn(&pid, contender->program, &actions, NULL, argv, environment) != 0)
        errx(1, "cannot start %s", contender->program);
    if (waitpid(pid, &status, 0) != pid || status != 0)
        errx(1, "%s failed on: %s", contender->name, line);

    double took = now_ms() - start;

    posix_spawn_file_actions_destroy(&actions);
    return took;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;

    return (x > y) - (x < y);
}

static double median(double *values, int n)
{
    qsort(values, (size_t)n, sizeof values[0], ascending);
    return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

static double median_of(const char *name, int rounds)
{
    for (int i = 0; i < ncontenders; i++)
        if (strcmp(contenders[i].name, name) == 0)
            return median(contenders[i].ms, rounds);
    return 0;
}

static void race(const char *title, const char *line, int input, int rounds)
{
    int output = open("/dev/null", O_WRONLY | O_CLOEXEC);

    if (output == -1)
        err(1, "/dev/null");
    for (int i = 0; i < ncontenders; i++) /* warm up */
        run_once(&contenders[i], line, input, output);
    for (int round = 0; round < rounds; round++)
        for (int i = 0; i < ncontenders; i++) {
            struct contender *next = &contenders[(i + round) % ncontenders];

            next->ms[round] = run_once(next, line, input, output);
        }
    close(output);

    double dash = median_of("dash", rounds);
    double bash = median_of("bash", rounds);
    bool bulk = strncmp(title, "bulk", 4) == 0;

    printf("%s: %s (%d rounds)\n", title, line, rounds);
    printf("  %-18s %9s %8s %8s\n", "", bulk ? "GiB/s" : "ms", "x dash", "x bash");
    for (int i = 0; i < ncontenders; i++) {
        double ms = median(contenders[i].ms, rounds);
        double gib_per_s = BULK_BYTES / 1073741824.0 / (ms / 1e3);

        printf("  %-18s %9.2f %8.2f %8.2f\n", contenders[i].name, bulk ? gib_per_s : ms,
               bulk ? dash / ms : ms / dash, bulk ? bash / ms : ms / bash);
    }
}

int main(int argc, char *argv[])
{
    int rounds = argc > 2 ? atoi(argv[1]) : 0;
    int bulk_rounds = argc > 2 ? atoi(argv[2]) : 0;

    if (rounds < 1 || rounds > MAX_ROUNDS || bulk_rounds < 1 || bulk_rounds > MAX_ROUNDS)
        errx(2, "usage: bench ROUNDS BULK_ROUNDS NAME=PROGRAM...");
    for (int i = 3; i < argc && ncontenders < MAX_CONTENDERS; i++) {
        char *program = argv[i];
        const char *name = strsep(&program, "=");

        if (program == NULL)
            errx(2, "not NAME=PROGRAM: %s", name);
        contenders[ncontenders].name = name;
        contenders[ncontenders++].program = program;
    }

    int empty = memfd_create("empty", MFD_CLOEXEC);
    int bulk = memfd_create("bulk", MFD_CLOEXEC);

    if (empty == -1 || bulk == -1 || ftruncate(bulk, BULK_BYTES) == -1)
        err(1, "memfd");

    char *bytes = mmap(NULL, BULK_BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, bulk, 0);

    if (bytes == MAP_FAILED)
        err(1, "mmap");
    memset(bytes, 'x', BULK_BYTES); /* allocates the pages: no holes */
    munmap(bytes, BULK_BYTES);

    race("P3", "ls -1 /usr/bin | sort | wc -l", empty, rounds);
    race("P5", "ls -1 /usr/bin | cut -d. -f1 | sort | uniq | wc -l", empty, rounds);
    race("bulk, 256 MiB", "cat | cat | wc -c", bulk, bulk_rounds);
    return 0;
}
