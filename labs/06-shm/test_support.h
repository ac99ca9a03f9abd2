/* test_support.h - what the public and the hidden tests of lab 06 share. */
#ifndef TEST_SUPPORT_H
#define TEST_SUPPORT_H

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ring.h"
#include "testkit.h"

/* A name that nothing else on this machine has, neither as a file nor as a
 * key, so that two runs do not meet where the box has no namespaces. */
static inline char *fresh_name(void)
{
    char *name;

    do
        name = object_name("ring") + 1; /* without its slash */
    while (shmget(ring_key(name), 0, 0) >= 0);
    return name;
}

/* Runs room.c where the puppets are, and gives its exit status. */
static inline int ask_room(const char *const argv[], int most)
{
    struct puppet *before = puppet_current();
    struct puppet *p = puppet_start();
    int status;

    puppet_exec(p, argv);
    status = puppet_wait(p);
    puppet_use(before);
    if (!WIFEXITED(status) || WEXITSTATUS(status) > most)
        testkit_broken("%s ended with status 0x%x", argv[0], (unsigned)status);
    return WEXITSTATUS(status);
}

/* Ends the run as the grader's failure if the machine is to blame. */
static inline void check_room(void)
{
    static const char *const lacks[] = {
        [1] = "POSIX shared memory cannot be made: is /dev/shm there?",
        [2] = "/dev/shm has less room than 4 MiB (docker run: --shm-size=64m)",
        [3] = "4 MiB of shared memory cannot be mapped",
        [4] = "no System V segment of 4 MiB can be made (kernel.shmmax, kernel.shmmni)",
        [5] = "no System V semaphores can be made (kernel.sem)",
    };
    const char *argv[] = {program_path("room"), NULL};
    int status = ask_room(argv, 5);

    if (status != 0)
        testkit_broken("%s", lacks[status]);
}

/* Fails unless the ring's memory is there, with the mode that ring.h says. */
static inline void assert_mode_0600(const char *name, int backend)
{
    const char *argv[] = {program_path("room"), backend == RING_POSIX ? "posix" : "sysv", name,
                          NULL};
    int status = ask_room(argv, 2);

    if (status == 2)
        fail_msg("a ring is open, and there is no %s",
                 backend == RING_POSIX ? "object of its name" : "segment of its key");
    if (status == 1)
        fail_msg("the ring's %s has another mode than 0600",
                 backend == RING_POSIX ? "object" : "segment");
}

/* A puppet's number where the puppets are: the last one of this line. */
static inline int pid_in_box(const struct puppet *p)
{
    int pid = puppet_pid(p);
    char path[32], line[256];
    FILE *f;

    snprintf(path, sizeof(path), "/proc/%d/status", pid);
    f = fopen(path, "r");
    while (f != NULL && fgets(line, sizeof(line), f) != NULL)
        if (strncmp(line, "NSpid:", 6) == 0)
            pid = atoi(strrchr(line, '\t') + 1);
    if (f != NULL)
        fclose(f);
    return pid;
}

/* Whether a puppet has mapped what belongs to a ring of that name. */
static inline bool has_mapped(const struct puppet *p, const char *name, int backend)
{
    char pid[16];
    const char *argv[] = {program_path("room"), backend == RING_POSIX ? "posix" : "sysv", name, pid,
                          NULL};

    snprintf(pid, sizeof(pid), "%d", pid_in_box(p));
    return ask_room(argv, 1) != 0;
}

static inline void assert_not_mapped(const struct puppet *p, const char *name, int backend,
                                     const char *when)
{
    if (has_mapped(p, name, backend))
        fail_msg("after %s, memory of the ring is still mapped", when);
}

/* Where puppets have no /dev/shm of their own it may be full, and the first
 * touch of new memory kills: looked at once, before the first ring. */
static inline void check_shared_room(void)
{
    static bool looked;
    char path[32];
    struct stat own, theirs;
    struct statvfs fs;

    snprintf(path, sizeof(path), "/proc/%d/ns/mnt", (int)puppet_pid(puppet_current()));
    if (looked || stat("/proc/self/ns/mnt", &own) < 0 || stat(path, &theirs) < 0 ||
        own.st_ino != theirs.st_ino)
        return;
    looked = true;
    if (statvfs("/dev/shm", &fs) < 0)
        testkit_broken("/dev/shm: %s", strerror(errno));
    if (fs.f_blocks != 0 && fs.f_bavail * fs.f_frsize < 4 << 20)
        testkit_broken("/dev/shm has less room than 4 MiB (docker run: --shm-size=64m)");
}

/* ring_open in a puppet, where it must not fail. */
#define OPENED(p, name, backend, capacity, flags)                                                  \
    opened((puppet_use(p), check_shared_room()), ring_open(name, backend, capacity, flags))
#define opened(use, call)                                                                          \
    ({                                                                                             \
        struct ring *ring_;                                                                        \
                                                                                                   \
        use;                                                                                       \
        ring_ = call;                                                                              \
        if (ring_ == NULL) {                                                                       \
            int error_ = errno;                                                                    \
                                                                                                   \
            check_room();                                                                          \
            fail_msg("%s failed: %s", #call, strerror(error_));                                    \
        }                                                                                          \
        ring_;                                                                                     \
    })

/* A call that must fail with this errno. */
#define assert_fails(call, error)                                                                  \
    do {                                                                                           \
        long value_ = (long)(call);                                                                \
        int errno_ = errno;                                                                        \
                                                                                                   \
        if (value_ != -1)                                                                          \
            fail_msg("%s gave %ld, not -1 and %s", #call, value_, #error);                         \
        if (errno_ != (error))                                                                     \
            fail_msg("%s failed with %s, not %s", #call, strerrorname_np(errno_), #error);         \
    } while (0)
#define assert_not_opened(call, error)                                                             \
    do {                                                                                           \
        const void *ring_ = (call);                                                                \
        int errno_ = errno;                                                                        \
                                                                                                   \
        if (ring_ != NULL)                                                                         \
            fail_msg("%s gave a ring, not NULL and %s", #call, #error);                            \
        if (errno_ != (error))                                                                     \
            fail_msg("%s failed with %s, not %s", #call, strerrorname_np(errno_), #error);         \
    } while (0)

/* Puts and gets texts, in the current puppet, without waiting. */
static inline void put_text(struct ring *ring, const char *text)
{
    if (ring_put(ring, arena_string(text), strlen(text), 0) != 0)
        fail_msg("ring_put(\"%s\") failed with %s", text, strerrorname_np(errno));
}

/* The oldest message, terminated; NULL if there is none to be had. */
static inline const char *get_text(struct ring *ring)
{
    static char text[256];
    char *buf = arena_out("buf", sizeof(text) - 1);
    ssize_t len = ring_get(ring, buf, sizeof(text) - 1, 0);

    if (len >= (ssize_t)sizeof(text))
        fail_msg("ring_get gave %zd for a buffer of %zu bytes", len, sizeof(text) - 1);
    if (len < 0 || len >= (ssize_t)sizeof(text))
        return NULL;
    memcpy(text, buf, (size_t)len);
    text[len] = '\0';
    return text;
}

#define assert_next(ring, text)                                                                    \
    do {                                                                                           \
        const char *next_ = get_text(ring);                                                        \
                                                                                                   \
        if (next_ == NULL)                                                                         \
            fail_msg("the next message should be \"%s\", and ring_get failed "                     \
                     "with %s",                                                                    \
                     text, strerrorname_np(errno));                                                \
        assert_string_equal(next_, text);                                                          \
    } while (0)

#define assert_empty(ring)                                                                         \
    do {                                                                                           \
        const char *next_ = get_text(ring);                                                        \
                                                                                                   \
        if (next_ != NULL)                                                                         \
            fail_msg("the ring should be empty, and has \"%s\"", next_);                           \
    } while (0)

/* Puts messages that cost 16 bytes until there is no room for another, and
 * gives their number. */
static inline int fill_up(struct ring *ring)
{
    char *message = arena_string("filling");
    int n = 0;

    while (ring_put(ring, message, 7, 0) == 0)
        if (++n > 1000)
            fail_msg("a ring takes %d messages and is never full", n);
    return n;
}

/* How many such messages the empty ring takes. */
static inline int room_for(struct ring *ring)
{
    int n = fill_up(ring);

    for (int i = 0; i < n; i++)
        assert_next(ring, "filling");
    assert_empty(ring);
    return n;
}

/* The call waits, well or badly: in tests that judge something else. */
#define assert_waits(p)                                                                            \
    do {                                                                                           \
        enum puppet_state state_ = puppet_settle(p);                                               \
                                                                                                   \
        if (state_ == PUPPET_RETURNED || state_ == PUPPET_DEAD)                                    \
            fail_msg("a call that should wait gave %d (errno %s)", finish(p),                      \
                     strerrorname_np(errno));                                                      \
    } while (0)

/* A call that nothing keeps any longer. */
#define assert_goes_on(p, why)                                                                     \
    do {                                                                                           \
        if (puppet_settle(p) == PUPPET_BLOCKED)                                                    \
            fail_msg("%s", why);                                                                   \
    } while (0)
#define NO_MESSAGE_SEEN "ring_get still waits, and there is a message"
#define NO_ROOM_SEEN "ring_put still waits, and there is room"

static inline uint64_t now_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static inline void assert_ring_times_out(struct ring *ring, bool puts, char *buf, int timeout_ms)
{
    if (puts)
        assert_fails(ring_put(ring, buf, 8, timeout_ms), ETIMEDOUT);
    else
        assert_fails(ring_get(ring, buf, 8, timeout_ms), ETIMEDOUT);
}

/* What a put or a get gives that cannot go on: at once, or when it is time.
 * The time ends in the second in which it begins: whether it would end in the
 * next one is no matter of chance, and of a test with longer ones. */
static inline void assert_times_out(struct ring *ring, bool puts)
{
    enum { SECOND_NS = 1000000000 };
    char *buf = arena_out("buf", 8);
    uint64_t start_ns;

    assert_ring_times_out(ring, puts, buf, 0);
    WAIT_UNTIL(now_ns() % SECOND_NS < SECOND_NS / 2);
    start_ns = now_ns();
    assert_ring_times_out(ring, puts, buf, 30);
    if (now_ns() - start_ns < 30000000)
        fail_msg("%s with a timeout of 30 ms ended sooner", puts ? "ring_put" : "ring_get");
}

/* Fills len bytes so that every message looks different. */
static inline void fill(unsigned char *buf, size_t len, uint64_t seed)
{
    uint64_t state = seed * 2 + 1;

    for (size_t i = 0; i < len; i++)
        buf[i] = (unsigned char)(random_next(&state) >> 56);
}

#endif
