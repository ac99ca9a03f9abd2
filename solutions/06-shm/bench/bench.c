/* bench.c - how fast messages get from one process to another.
 *
 *     bench ROUNDS DIRECTORY-WITH-RINGS
 *
 * Measures every channel at every size, one after the other, and repeats that
 * ROUNDS times, so that a disturbance of the machine affects all of them; prints
 * one line per measurement, "what way size value", for the script `run`:
 *     bytes    bytes per second from one process to the other, on two CPUs
 *     trip1    nanoseconds of a round trip, both processes on one CPU
 *     trip2    the same on two CPUs
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <mqueue.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ring.h"

#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))

enum { MAX_BYTES = 1 << 20, PIECE_BYTES = 8192, RUN_NS = 6000000, RUNS = 4, HANG_SECONDS = 60 };

static void need(bool ok, const char *what)
{
    if (ok)
        return;
    fprintf(stderr, "bench: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* ---- channels: one direction each ------------------------------------------- */

struct channel;

struct way {
    const char *name;
    void (*open)(struct channel *, size_t bytes); /* before fork */
    void (*put)(struct channel *, const char *, size_t);
    void (*get)(struct channel *, char *, size_t);
    void (*close)(struct channel *);
    const char *library; /* of a ring */
    unsigned flags;
    bool spins; /* useless on one CPU */
};

struct ring_functions {
    __typeof__(&ring_open) open;
    __typeof__(&ring_put) put;
    __typeof__(&ring_get) get;
    __typeof__(&ring_close) close;
    __typeof__(&ring_destroy) destroy;
};

struct channel {
    const struct way *way;
    int ends[2];
    mqd_t queue;
    int id;
    size_t piece;
    char *memory;
    struct ring *ring;
    struct ring_functions functions;
    char name[64];
};

static void write_all(int fd, const char *buf, size_t len)
{
    while (len > 0) {
        ssize_t n = write(fd, buf, len);

        need(n > 0, "write");
        buf += n;
        len -= (size_t)n;
    }
}

static void read_all(int fd, char *buf, size_t len)
{
    while (len > 0) {
        ssize_t n = read(fd, buf, len);

        need(n > 0, "read");
        buf += n;
        len -= (size_t)n;
    }
}

static void fd_put(struct channel *c, const char *buf, size_t len)
{
    write_all(c->ends[1], buf, len);
}

static void fd_get(struct channel *c, char *buf, size_t len)
{
    read_all(c->ends[0], buf, len);
}

static void fd_close(struct channel *c)
{
    close(c->ends[0]);
    close(c->ends[1]);
}

static void pipe_open(struct channel *c, size_t bytes)
{
    (void)bytes;
    need(pipe(c->ends) == 0, "pipe");
}

static void fifo_open(struct channel *c, size_t bytes)
{
    char path[64];

    (void)bytes;
    snprintf(path, sizeof path, "/tmp/bench-06-%d.fifo", (int)getpid());
    need(mkfifo(path, 0600) == 0, "mkfifo");
    c->ends[0] = open(path, O_RDWR);
    c->ends[1] = open(path, O_WRONLY);
    need(c->ends[0] >= 0 && c->ends[1] >= 0, path);
    unlink(path);
}

static void socket_open(struct channel *c, size_t bytes)
{
    (void)bytes;
    need(socketpair(AF_UNIX, SOCK_STREAM, 0, c->ends) == 0, "socketpair");
}

/* Whole messages if the system permits their size, else pieces. */
static void mq_way_open(struct channel *c, size_t bytes)
{
    struct rlimit unlimited = {RLIM_INFINITY, RLIM_INFINITY};
    struct mq_attr attr = {.mq_maxmsg = 8, .mq_msgsize = (long)bytes};
    char name[64];

    setrlimit(RLIMIT_MSGQUEUE, &unlimited);
    snprintf(name, sizeof name, "/bench-06-%d", (int)getpid());
    c->queue = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attr);
    if (c->queue == (mqd_t)-1 && bytes > PIECE_BYTES) {
        attr.mq_msgsize = PIECE_BYTES;
        c->queue = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &attr);
    }
    need(c->queue != (mqd_t)-1, "mq_open");
    mq_unlink(name);
    c->piece = (size_t)attr.mq_msgsize;
}

static void mq_put(struct channel *c, const char *buf, size_t len)
{
    for (size_t n; len > 0; buf += n, len -= n) {
        n = MIN(len, c->piece);
        need(mq_send(c->queue, buf, n, 0) == 0, "mq_send");
    }
}

static void mq_get(struct channel *c, char *buf, size_t len)
{
    for (ssize_t n; len > 0; buf += n, len -= (size_t)n) {
        n = mq_receive(c->queue, buf, c->piece, NULL);
        need(n > 0, "mq_receive");
    }
}

static void mq_way_close(struct channel *c)
{
    mq_close(c->queue);
}

struct piece {
    long type;
    char text[PIECE_BYTES];
};

static void msg_open(struct channel *c, size_t bytes)
{
    (void)bytes;
    c->id = msgget(IPC_PRIVATE, 0600);
    need(c->id >= 0, "msgget");
}

static void msg_put(struct channel *c, const char *buf, size_t len)
{
    struct piece piece = {.type = 1};

    for (size_t n; len > 0; buf += n, len -= n) {
        n = MIN(len, (size_t)PIECE_BYTES);
        memcpy(piece.text, buf, n);
        need(msgsnd(c->id, &piece, n, 0) == 0, "msgsnd");
    }
}

static void msg_get(struct channel *c, char *buf, size_t len)
{
    struct piece piece;

    for (ssize_t n; len > 0; buf += n, len -= (size_t)n) {
        n = msgrcv(c->id, &piece, PIECE_BYTES, 0, 0);
        need(n > 0, "msgrcv");
        memcpy(buf, piece.text, (size_t)n);
    }
}

static void msg_close(struct channel *c)
{
    msgctl(c->id, IPC_RMID, NULL);
}

/* The message is already in shared memory, and only 8 bytes go through a pipe.
 * The receiver maps the message, reads every page, and unmaps it. */
enum { SLOTS = 4 };

static void map_open(struct channel *c, size_t bytes)
{
    c->piece = (bytes + 4095) / 4096 * 4096;
    c->id = memfd_create("bench", MFD_CLOEXEC);
    need(c->id >= 0 && ftruncate(c->id, (off_t)(SLOTS * c->piece)) == 0, "memfd_create");
    c->memory = mmap(NULL, SLOTS * c->piece, PROT_READ | PROT_WRITE, MAP_SHARED, c->id, 0);
    need(c->memory != MAP_FAILED, "mmap");
    memset(c->memory, 1, SLOTS * c->piece);
    need(pipe(c->ends) == 0, "pipe");
}

static void map_put(struct channel *c, const char *buf, size_t len)
{
    uint64_t slot = 0;

    (void)buf, (void)len;
    write_all(c->ends[1], (char *)&slot, sizeof slot);
}

static void map_get(struct channel *c, char *buf, size_t len)
{
    volatile char *at;
    uint64_t slot;

    read_all(c->ends[0], (char *)&slot, sizeof slot);
    at = mmap(NULL, c->piece, PROT_READ, MAP_SHARED, c->id, (off_t)(slot * c->piece));
    need(at != MAP_FAILED, "mmap");
    for (size_t i = 0; i < len; i += 4096)
        buf[0] += at[i];
    munmap((void *)at, c->piece);
}

static void map_close(struct channel *c)
{
    munmap(c->memory, SLOTS * c->piece);
    close(c->id);
    fd_close(c);
}

static const char *directory;

static size_t capacity_for(size_t bytes)
{
    size_t capacity = 256 << 10;

    while (capacity < 3 * RING_COST(bytes))
        capacity *= 2;
    return capacity;
}

/* Messages before the measurement starts: they touch every page of a ring. */
static uint64_t warm_up_count(size_t bytes)
{
    return 2 * capacity_for(bytes) / bytes;
}

static void ring_way_open(struct channel *c, size_t bytes)
{
    static unsigned n;
    char path[512];
    void *library;

    snprintf(path, sizeof path, "%s/%s.so", directory, c->way->library);
    library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        fprintf(stderr, "bench: %s\n", dlerror());
        exit(1);
    }
    c->functions.open = (__typeof__(&ring_open))dlsym(library, "ring_open");
    c->functions.put = (__typeof__(&ring_put))dlsym(library, "ring_put");
    c->functions.get = (__typeof__(&ring_get))dlsym(library, "ring_get");
    c->functions.close = (__typeof__(&ring_close))dlsym(library, "ring_close");
    c->functions.destroy = (__typeof__(&ring_destroy))dlsym(library, "ring_destroy");
    snprintf(c->name, sizeof c->name, "bench-06-%d-%u", (int)getpid(), n++);
    c->ring =
        c->functions.open(c->name, RING_POSIX, capacity_for(bytes), RING_CREATE | c->way->flags);
    need(c->ring != NULL, "ring_open");
    c->functions.destroy(c->name, RING_POSIX); /* the ring stays as long as it is open */
}

static void ring_way_put(struct channel *c, const char *buf, size_t len)
{
    need(c->functions.put(c->ring, buf, len, -1) == 0, "ring_put");
}

static void ring_way_get(struct channel *c, char *buf, size_t len)
{
    need(c->functions.get(c->ring, buf, len, -1) == (ssize_t)len, "ring_get");
}

static void ring_way_close(struct channel *c)
{
    c->functions.close(c->ring);
}

#define RING(name, library, flags, spins)                                                          \
    {name, ring_way_open, ring_way_put, ring_way_get, ring_way_close, library, flags, spins}
#define SYSTEM(name, open, put, get, close) {name, open, put, get, close, NULL, 0, false}

static const struct way ways[] = {
    SYSTEM("pipe", pipe_open, fd_put, fd_get, fd_close),
    SYSTEM("fifo", fifo_open, fd_put, fd_get, fd_close),
    SYSTEM("posix-mq", mq_way_open, mq_put, mq_get, mq_way_close),
    SYSTEM("sysv-mq", msg_open, msg_put, msg_get, msg_close),
    SYSTEM("unix-socket", socket_open, fd_put, fd_get, fd_close),
    SYSTEM("map-each", map_open, map_put, map_get, map_close),
    RING("ring-mutex", "reference", 0, false),
    RING("ring-semaphores", "semaphores", 0, false),
    RING("ring-spsc", "lock_free_spsc", RING_SPSC, false),
    RING("ring-spsc-spin", "lock_free_spsc", RING_SPSC | RING_SPIN, true),
    RING("ring-submission", "submission", 0, false),
};
enum { WAYS = sizeof ways / sizeof *ways };

/* ---- measurements ---------------------------------------------------------------- */

static char *source, *target;

static void run_on(int cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    need(sched_setaffinity(0, sizeof set, &set) == 0, "sched_setaffinity");
}

static pid_t fork_helper(int cpu)
{
    pid_t pid = fork();

    need(pid >= 0, "fork");
    if (pid == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        run_on(cpu);
        alarm(HANG_SECONDS);
    }
    return pid;
}

static void reap(pid_t pid)
{
    int status;

    need(waitpid(pid, &status, 0) == pid && status == 0, "the other process");
}

static double stream(const struct way *way, size_t bytes, uint64_t count, int cpus[2])
{
    struct channel c = {.way = way};
    uint64_t warm_up = warm_up_count(bytes), start;
    pid_t pid;

    way->open(&c, bytes);
    run_on(cpus[0]);
    pid = fork_helper(cpus[1]);
    if (pid == 0) {
        for (uint64_t i = 0; i < warm_up + count; i++)
            way->put(&c, source, bytes);
        _exit(0);
    }
    for (uint64_t i = 0; i < warm_up; i++)
        way->get(&c, target, bytes);
    start = now_ns();
    for (uint64_t i = 0; i < count; i++)
        way->get(&c, target, bytes);
    start = now_ns() - start;
    reap(pid);
    way->close(&c);
    return (double)start;
}

static double trips(const struct way *way, size_t bytes, uint64_t count, int cpus[2])
{
    struct channel there = {.way = way}, back = {.way = way};
    uint64_t warm_up = MIN(warm_up_count(bytes), 1000), start = 0;
    pid_t pid;

    way->open(&there, bytes);
    way->open(&back, bytes);
    run_on(cpus[0]);
    pid = fork_helper(cpus[1]);
    if (pid == 0) {
        for (uint64_t i = 0; i < warm_up + count; i++) {
            way->get(&there, target, bytes);
            way->put(&back, source, bytes);
        }
        _exit(0);
    }
    for (uint64_t i = 0; i < warm_up + count; i++) {
        if (i == warm_up)
            start = now_ns();
        way->put(&there, source, bytes);
        way->get(&back, target, bytes);
    }
    start = now_ns() - start;
    reap(pid);
    way->close(&there);
    way->close(&back);
    return (double)start;
}

static double copies(const struct way *way, size_t bytes, uint64_t count, int cpus[2])
{
    uint64_t start = now_ns();

    (void)way, (void)cpus;
    for (uint64_t i = 0; i < count; i++) {
        memcpy(target, source, bytes);
        __asm__ volatile("" : : "r"(source), "r"(target) : "memory");
    }
    return (double)(now_ns() - start);
}

typedef double measurement(const struct way *, size_t, uint64_t, int[2]);

/* Nanoseconds per message or round trip, in the best of RUNS runs of about
 * RUN_NS each; finds the number of messages of a run once. */
static double measure(measurement *m, const struct way *way, size_t bytes, uint64_t *count,
                      int cpus[2])
{
    double ns;

    if (*count == 0) {
        for (*count = 8; (ns = m(way, bytes, *count, cpus)) < RUN_NS / 4.0; *count *= 4)
            ;
        *count = (uint64_t)MAX(8.0, (double)*count * RUN_NS / ns);
    }
    ns = m(way, bytes, *count, cpus);
    for (int i = 1; i < RUNS; i++)
        ns = MIN(ns, m(way, bytes, *count, cpus));
    return ns / (double)*count;
}

static bool is_available(const struct way *way)
{
    char path[512];

    if (way->library == NULL)
        return true;
    snprintf(path, sizeof path, "%s/%s.so", directory, way->library);
    return access(path, R_OK) == 0;
}

static int two_cpus(int cpus[2])
{
    cpu_set_t set;
    int n = 0;

    need(sched_getaffinity(0, sizeof set, &set) == 0, "sched_getaffinity");
    for (int cpu = 0; cpu < CPU_SETSIZE && n < 2; cpu++)
        if (CPU_ISSET(cpu, &set))
            cpus[n++] = cpu;
    return n;
}

int main(int argc, char **argv)
{
    static const size_t sizes[] = {64, 256, 1024, 4096, 16384, 65536, 262144, MAX_BYTES};
    enum { SIZES = sizeof sizes / sizeof *sizes };
    static uint64_t counts[WAYS + 1][SIZES][3];
    int cpus[2], same[2];

    if (argc != 3) {
        fprintf(stderr, "usage: bench ROUNDS DIRECTORY-WITH-RINGS\n");
        return 2;
    }
    directory = argv[2];
    if (two_cpus(cpus) < 2) {
        fprintf(stderr, "bench: two CPUs are needed\n");
        return 1;
    }
    same[0] = same[1] = cpus[0];
    source = aligned_alloc(4096, MAX_BYTES);
    target = aligned_alloc(4096, MAX_BYTES);
    need(source != NULL && target != NULL, "aligned_alloc");
    memset(source, 1, MAX_BYTES);
    memset(target, 2, MAX_BYTES);
    alarm(600);

    for (int round = atoi(argv[1]); round > 0; round--)
        for (size_t i = 0; i < SIZES; i++) {
            bool trip = sizes[i] == 64 || sizes[i] == 4096 || sizes[i] == MAX_BYTES;

            printf("bytes memcpy %zu %g\n", sizes[i],
                   (double)sizes[i] * 1e9 /
                       measure(copies, NULL, sizes[i], &counts[WAYS][i][0], cpus));
            for (size_t w = 0; w < WAYS; w++) {
                const struct way *way = &ways[w];

                if (!is_available(way))
                    continue;
                printf("bytes %s %zu %g\n", way->name, sizes[i],
                       (double)sizes[i] * 1e9 /
                           measure(stream, way, sizes[i], &counts[w][i][0], cpus));
                if (!trip)
                    continue;
                printf("trip2 %s %zu %g\n", way->name, sizes[i],
                       measure(trips, way, sizes[i], &counts[w][i][2], cpus));
                if (!way->spins)
                    printf("trip1 %s %zu %g\n", way->name, sizes[i],
                           measure(trips, way, sizes[i], &counts[w][i][1], same));
                fflush(stdout);
            }
        }
    return 0;
}
