/* test_support.h - what the public and the hidden tests of lab 06 share. */
#ifndef TEST_SUPPORT_H
#define TEST_SUPPORT_H

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/shm.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ring.h"
#include "support.h"

/* ---- names and the machine ----------------------------------------------------- */

/* Names are the test's own; each call gets a copy in memory that your code can
 * read. */
static inline const char *name_copy(const char *name)
{
    return name == NULL ? NULL : arena_string(name);
}
#define ring_open(name, ...) ring_open(name_copy(name), __VA_ARGS__)
#define ring_destroy(name, backend) ring_destroy(name_copy(name), backend)

/* Once, before the first ring: ends the run as the grader's failure if the limits of
 * the machine are too small. */
static inline void check_machine_limits(void)
{
    static const char *const causes[] = {
        [1] = "POSIX shared memory cannot be created: is /dev/shm there?",
        [2] = "/dev/shm has less than 4 MiB of free space (docker run: --shm-size=64m)",
        [3] = "4 MiB of shared memory cannot be mapped",
        [4] = "no System V segment of 4 MiB can be created (kernel.shmmax, kernel.shmmni)",
        [5] = "no System V semaphores can be created (kernel.sem)",
    };
    static bool checked;
    const char *argv[] = {program_path("shm_inspect"), NULL};
    struct outcome outcome;
    size_t status;

    if (checked)
        return;
    checked = true;
    outcome = run_given_program(argv);
    outcome_close(&outcome);
    status = WEXITSTATUS(outcome.status);
    if (status >= sizeof(causes) / sizeof(*causes))
        testkit_broken("%s %s", outcome.command, status_text(outcome.status));
    if (status != 0)
        sandbox_spoiled("%s", causes[status]);
}

/* A name that is unused on this machine, both as an object and as a key, so
 * that two runs do not collide where sandboxes have no namespaces. */
static inline const char *unique_name(void)
{
    const char *name;

    check_machine_limits();
    do
        name = object_name("ring") + 1; /* without its slash */
    while (shmget(ring_key(name), 0, 0) >= 0);
    return name;
}

/* Fails unless the ring's memory exists, with the mode that ring.h demands. */
static inline void assert_mode_0600(const char *name, int backend)
{
    char path[RING_NAME_MAX + 2];
    int mode;

    snprintf(path, sizeof(path), "/%s", name);
    mode = backend == RING_POSIX ? shm_mode(path) : sysv_shm_mode(ring_key(name));
    if (mode < 0)
        fail_call("a ring is open, and there is no %s",
                  backend == RING_POSIX ? "object of its name" : "segment of its key");
    if (mode != 0600)
        fail_call("the ring's %s has mode 0%o; expected: 0600",
                  backend == RING_POSIX ? "object" : "segment", (unsigned)mode);
}
#define assert_mode_0600(...) FROM_HERE(assert_mode_0600(__VA_ARGS__))

/* Whether a puppet has mapped memory of the ring of that name. */
static inline bool has_mapped(const struct puppet *p, const char *name, int backend)
{
    char segment[16];

    snprintf(segment, sizeof(segment), "/SYSV%08x", (unsigned)ring_key(name));
    return process_has_mapped(puppet_pid(p), backend == RING_SYSV ? segment : name);
}

static inline void assert_not_mapped(const struct puppet *p, const char *name, int backend,
                                     const char *when)
{
    if (has_mapped(p, name, backend))
        fail_call("after %s, memory of the ring is still mapped", when);
}
#define assert_not_mapped(...) FROM_HERE(assert_not_mapped(__VA_ARGS__))

/* ---- ring_open that must succeed ------------------------------------------------------ */

/* ring_open in a puppet, where it must succeed. */
#define OPEN_RING(p, name, backend, capacity, flags)                                               \
    OPEN_OR_FAIL(puppet_use(p), ring_open(name, backend, capacity, flags))
#define OPEN_OR_FAIL(prepare, call)                                                                \
    ({                                                                                             \
        struct ring *ring_;                                                                        \
                                                                                                   \
        prepare;                                                                                   \
        ring_ = call;                                                                              \
        if (ring_ == NULL)                                                                         \
            fail_msg("%s failed with %s", #call, error_name(errno));                               \
        ring_;                                                                                     \
    })

/* ---- messages --------------------------------------------------------------------- */

/* Puts and gets strings, in the current puppet, without waiting. */
static inline void put_text(struct ring *ring, const char *text)
{
    if (ring_put(ring, arena_string(text), strlen(text), 0) != 0)
        fail_call("ring_put(\"%s\") failed with %s", text, error_name(errno));
}
#define put_text(...) FROM_HERE(put_text(__VA_ARGS__))

/* The oldest message, with a terminating null byte; NULL if ring_get failed. */
static inline const char *get_text(struct ring *ring)
{
    static char text[256];
    char *buf = arena_out("buf", sizeof(text) - 1);
    ssize_t len = ring_get(ring, buf, sizeof(text) - 1, 0);

    if (len >= (ssize_t)sizeof(text))
        fail_msg("ring_get returned %zd for a buffer of %zu bytes", len, sizeof(text) - 1);
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
                     text, error_name(errno));                                                     \
        assert_string_equal(next_, text);                                                          \
    } while (0)

#define assert_empty(ring)                                                                         \
    do {                                                                                           \
        const char *next_ = get_text(ring);                                                        \
                                                                                                   \
        if (next_ != NULL)                                                                         \
            fail_msg("the ring should be empty, and has \"%s\"", next_);                           \
    } while (0)

/* A message that costs 16 bytes. */
#define FILLER "filler."

/* Puts FILLER messages until the ring is full, and returns their number. */
static inline int fill_ring(struct ring *ring)
{
    int n = 0;

    while (ring_put(ring, arena_string(FILLER), strlen(FILLER), 0) == 0)
        if (++n > 1000)
            fail_msg("a ring takes %d messages and is never full", n);
    return n;
}

/* How many FILLER messages the empty ring holds. */
static inline int count_fillers(struct ring *ring)
{
    int n = fill_ring(ring);

    for (int i = 0; i < n; i++)
        assert_next(ring, FILLER);
    assert_empty(ring);
    return n;
}

/* ---- waiting ------------------------------------------------------------------------ */

/* The call has not returned; how it waits is judged by other tests. */
#define assert_waits(p)                                                                            \
    do {                                                                                           \
        enum puppet_state state_ = puppet_settle(p);                                               \
                                                                                                   \
        if (state_ == PUPPET_RETURNED || state_ == PUPPET_DEAD)                                    \
            fail_msg("a call that should wait returned %d (errno %s)", finish(p),                  \
                     error_name(errno));                                                           \
    } while (0)

/* A call that has no reason to wait any longer. */
#define assert_proceeds(p, why)                                                                    \
    do {                                                                                           \
        if (puppet_settle(p) == PUPPET_BLOCKED)                                                    \
            fail_msg("%s", why);                                                                   \
    } while (0)
#define MESSAGE_NOT_SEEN "ring_get still waits, and there is a message"
#define SPACE_NOT_SEEN "ring_put still waits, and there is space"

static inline void assert_call_times_out(struct ring *ring, bool put, int timeout_ms)
{
    if (put)
        assert_fails(ring_put(ring, arena_string("8 bytes"), 8, timeout_ms), ETIMEDOUT);
    else
        assert_fails(ring_get(ring, arena_out("buf", 8), 8, timeout_ms), ETIMEDOUT);
}

/* A ring_put on a full ring or a ring_get on an empty one, with a timeout of 0
 * and of 30 ms.  The 30 ms end in the second in which they begin: a timeout
 * that ends in the next second is left to a test with longer ones, not to
 * chance. */
static inline void assert_times_out(struct ring *ring, bool put)
{
    enum { SECOND_NS = 1000000000 };
    uint64_t start_ns;

    assert_call_times_out(ring, put, 0);
    WAIT_UNTIL(now_ns() % SECOND_NS < SECOND_NS / 2);
    start_ns = now_ns();
    assert_call_times_out(ring, put, 30);
    if (now_ns() - start_ns < 30000000)
        fail_msg("%s with a timeout of 30 ms ended early", put ? "ring_put" : "ring_get");
}

#endif
