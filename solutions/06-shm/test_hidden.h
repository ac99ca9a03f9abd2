/* test_hidden.h - what the files of hidden tests share (test_hidden_GROUP.c).
 * The functions that are declared here are defined in the file of the group
 * that is named above them. */
#ifndef TEST_HIDDEN_H
#define TEST_HIDDEN_H

#include "test_support.h"

/* A process is held at each of its calls of a kind.  No function of ring.h needs more
 * of them than this, not even one that initialises a semaphore for each process. */
enum { MAX_HOLDS = 100 };

static inline void assert_few_calls(unsigned n)
{
    if (n > MAX_HOLDS)
        fail_msg("a single call made more than %d calls of one kind to libc", MAX_HOLDS);
}

/* Lets a process make a call of ring.h.  Its nth call of that kind to libc is held, or
 * fails; with nth = 0 they are only counted.  Stores how many there were, and
 * returns whether the nth was reached. */
typedef bool sweep_run(void *context, enum fault_call call, unsigned nth, unsigned *count);

/* A run that only counts, and then one for each of the calls that it saw, and for one
 * more, in an order that the submission cannot know.  The process does the same
 * thing each time, alone until its nth call, so it must make the same calls: else
 * the real ones might be made when nobody holds them. */
static inline void sweep(enum fault_call call, sweep_run *run, void *context)
{
    static const char *const functions[] = {
#define FUNCTION(name, function) [name] = function,
        FAULT_CALL_LIST(FUNCTION)
#undef FUNCTION
    };
    unsigned order[MAX_HOLDS + 1], count, again;
    uint64_t seed = testkit_seed();

    run(context, call, 0, &count);
    assert_few_calls(count);
    if (count == 0)
        return;
    for (unsigned i = 0; i <= count; i++)
        order[i] = i + 1;
    random_shuffle(&seed, order, count + 1, sizeof(*order));
    for (unsigned i = 0; i <= count; i++)
        if (run(context, call, order[i], &again) != (order[i] <= count))
            fail_msg("ring_open makes another number of calls of %s() each time", functions[call]);
}

/* A process that has the ring open too, with a buffer for what it gets. */
struct peer {
    struct puppet *puppet;
    struct ring *ring;
    char *buf; /* in the arena */
};

/* ---- calls that every ring needs ------------------------------------------------- */

/* How a process gets at the ring's memory. */
static inline enum fault_call mapping_call(int backend)
{
    return backend == RING_POSIX ? FAULT_MMAP : FAULT_SHMAT;
}

static inline void watch_mapping(struct puppet *p, int backend)
{
    fault_watch(p, mapping_call(backend));
}

/* Fails unless a ring_open that succeeded since watch_mapping() called libc. */
static inline void assert_mapping_seen(struct puppet *p, int backend)
{
    assert_called(p, mapping_call(backend));
}

/* ---- stopping and continuing a puppet ------------------------------------------- */

/* The state letter of /proc/PID/stat, T also for a process that is traced; 'X' for
 * a process that is gone. */
static inline char process_state(const struct puppet *p)
{
    char path[32], text[512];
    const char *after_name;
    FILE *f;
    size_t n;

    snprintf(path, sizeof(path), "/proc/%d/stat", (int)puppet_pid(p));
    f = fopen(path, "r");
    if (f == NULL)
        return 'X';
    n = fread(text, 1, sizeof(text) - 1, f);
    fclose(f);
    text[n] = '\0';
    after_name = strrchr(text, ')');
    if (after_name == NULL || after_name[1] == '\0')
        return 'X';
    return after_name[2] == 't' ? 'T' : after_name[2];
}

static inline void send_signal(const struct puppet *p, int signal)
{
    if (kill(puppet_pid(p), signal) < 0 && errno != ESRCH)
        testkit_broken("cannot send a signal to a puppet: %s", strerror(errno));
}

static inline void stop_puppet(const struct puppet *p)
{
    send_signal(p, SIGSTOP);
    WAIT_UNTIL(process_state(p) == 'T');
}

static inline void continue_puppet(const struct puppet *p)
{
    send_signal(p, SIGCONT);
    WAIT_UNTIL(process_state(p) != 'T');
}

static inline void assert_sleeps(struct puppet *p, bool has_timeout)
{
    if (has_timeout)
        assert_blocked_with_timeout(p);
    else
        assert_blocked(p);
}

/* ---- test_hidden_concurrency.c ---------------------------------------------------- */

/* n producers and n consumers at once: every message exactly once, and those
 * of one producer in order at every consumer. */
void exchange(int backend, size_t capacity, unsigned flags, unsigned n);

/* On a full ring a producer waits for the space of a message that is being
 * copied out. */
void space_is_reused_only_after_the_copy_over(int backend, unsigned flags);

/* ---- test_hidden_death.c -------------------------------------------------------------- */

/* Kills a process in the middle of copying a message in.  The process puts
 * first_message before that, and before_death(arg) is called right before it is
 * killed; either may be NULL. */
void die_in_put(const char *name, int backend, size_t capacity, unsigned flags,
                const char *first_message, void (*before_death)(void *), void *arg);

/* Kills a process in the middle of copying the oldest message out; before_death
 * as above. */
void die_in_get(const char *name, int backend, size_t capacity, unsigned flags,
                void (*before_death)(void *), void *arg);

/* A message that is longer than the part that die_in_get lets a process copy. */
#define HALF_COPIED "a message that a dead consumer had copied only half of"

#endif
