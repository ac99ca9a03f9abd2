/* talk.c - uses your ring from a shell, and measures its speed; not graded.
 *
 *     mkdir -p build && gcc -O2 -pthread -o build/talk talk.c ring.c posix_mapping.c
 *     build/talk create NAME CAPACITY
 *     build/talk put NAME CAPACITY TEXT...
 *     build/talk get NAME CAPACITY [TIMEOUT_MS]
 *     build/talk stream NAME CAPACITY BYTES COUNT
 *     build/talk destroy NAME
 *
 * With -v as the first argument it uses System V shared memory.  Unlike the
 * tests it links ring.c and calls it directly.
 */
#include "ring.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int backend = RING_POSIX;

static struct ring *open_ring(char **argv, unsigned flags)
{
    struct ring *r = ring_open(argv[0], backend, strtoul(argv[1], NULL, 0), flags);

    if (r == NULL)
        err(1, "ring_open %s", argv[0]);
    return r;
}

static void put(char **argv)
{
    struct ring *r = open_ring(argv, RING_CREATE);

    for (argv += 2; *argv != NULL; argv++)
        if (ring_put(r, *argv, strlen(*argv), -1) < 0)
            err(1, "ring_put");
}

static void get(char **argv)
{
    struct ring *r = open_ring(argv, RING_CREATE);
    static char text[65536];
    ssize_t len = ring_get(r, text, sizeof text, argv[2] ? atoi(argv[2]) : -1);

    if (len < 0)
        err(1, "ring_get");
    printf("%.*s\n", (int)len, text);
}

static double seconds(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* A child process puts COUNT messages of BYTES bytes, and this process gets them. */
static void stream(char **argv)
{
    size_t bytes = strtoul(argv[2], NULL, 0);
    long count = strtol(argv[3], NULL, 0);
    char *message = calloc(1, bytes + 1);
    struct ring *r = open_ring(argv, RING_CREATE);
    double start = seconds();

    if (message == NULL)
        err(1, "%zu bytes", bytes);
    if (fork() == 0) {
        r = open_ring(argv, 0); /* the parent's handle cannot be used */
        for (long i = 0; i < count; i++)
            if (ring_put(r, message, bytes, -1) < 0)
                err(1, "ring_put");
        _exit(0);
    }
    for (long i = 0; i < count; i++)
        if (ring_get(r, message, bytes, 10000) < 0)
            err(1, "ring_get");
    start = seconds() - start;
    wait(NULL);
    printf("%.0f messages and %.1f MB per second\n", (double)count / start,
           (double)count * (double)bytes / start / 1e6);
}

int main(int argc, char **argv)
{
    const char *command = "";

    if (argc > 1 && strcmp(argv[1], "-v") == 0) {
        backend = RING_SYSV;
        argv++, argc--;
    }
    if (argc > 2)
        command = argv[1];
    argv += 2;
    if (strcmp(command, "create") == 0 && argc == 4)
        open_ring(argv, RING_CREATE | RING_EXCL);
    else if (strcmp(command, "put") == 0 && argc >= 4)
        put(argv);
    else if (strcmp(command, "get") == 0 && (argc == 4 || argc == 5))
        get(argv);
    else if (strcmp(command, "stream") == 0 && argc == 6)
        stream(argv);
    else if (strcmp(command, "destroy") == 0 && argc == 3) {
        if (ring_destroy(argv[0], backend) < 0)
            err(1, "ring_destroy %s", argv[0]);
    } else
        errx(2, "usage: see the first lines of talk.c");
    return 0;
}
