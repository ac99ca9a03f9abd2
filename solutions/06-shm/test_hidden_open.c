/* test_hidden_open.c - lab 06: ring_open with other capacities and names, the
 * race condition of creator and openers, and system calls that fail. */
#include "test_hidden.h"

/* ---- a ring with another capacity, flags or name --------------------------------- */

static void open_with_another_capacity_is_einval_over(int backend)
{
    static const size_t others[] = {4088, 4104, 2048, 8192, RING_CAPACITY_MIN};
    const char *name = unique_name(), *spsc = unique_name();
    struct puppet *a = puppet_start();
    struct puppet *b = puppet_start();
    struct ring *in_a = OPEN_RING(a, name, backend, 4096, RING_CREATE);
    struct ring *in_b;
    struct fd_info fds[64];
    size_t nfds;

    put_text(in_a, "unharmed");
    puppet_use(b);
    ring_close(NULL); /* loads the submission */
    nfds = process_fds(puppet_pid(b), fds, 64);
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
        assert_fails_with_null(ring_open(name, backend, others[i], 0), EINVAL);
        assert_fails_with_null(ring_open(name, backend, others[i], RING_CREATE), EINVAL);
    }
    assert_fails_with_null(ring_open(name, backend, 4096, RING_SPSC), EINVAL);
    assert_fails_with_null(ring_open(name, backend, 4096, RING_CREATE | RING_SPIN), EINVAL);
    assert_fds_are(puppet_pid(b), fds, nfds);
    assert_not_mapped(b, name, backend, "a ring_open that failed with EINVAL");
    in_b = OPEN_RING(b, name, backend, 4096, 0);
    assert_next(in_b, "unharmed");
    ring_close(in_b);

    in_b = OPEN_RING(b, spsc, backend, 64, RING_CREATE | RING_SPSC);
    assert_fails_with_null(ring_open(spsc, backend, 64, RING_CREATE), EINVAL);
    ring_destroy(spsc, backend);
    ring_destroy(name, backend);
}

TEST(open_with_another_capacity_is_einval,
     "Opening a ring with another capacity or different RING_SPSC or RING_SPIN flags fails with "
     "EINVAL and leaves no mapping or descriptor behind.")
{
    open_with_another_capacity_is_einval_over(RING_POSIX);
}

TEST(sysv_open_with_another_capacity_is_einval,
     "System V: opening a ring with another capacity, smaller or larger, is EINVAL (shmget itself "
     "rejects only a larger size).")
{
    open_with_another_capacity_is_einval_over(RING_SYSV);
}

/* Two names as long as names may be, with the same key. */
static void colliding_names(char aa[RING_NAME_MAX + 1], char bb[RING_NAME_MAX + 1])
{
    const char *stem = unique_name();

    memset(aa, '-', RING_NAME_MAX);
    aa[RING_NAME_MAX] = '\0';
    memcpy(aa, stem, strlen(stem));
    memcpy(bb, aa, RING_NAME_MAX + 1);
    memcpy(aa + RING_NAME_MAX - 2, "Aa", 2);
    memcpy(bb + RING_NAME_MAX - 2, "BB", 2);
    if (ring_key(aa) != ring_key(bb))
        testkit_broken("%s and %s should have the same key", aa, bb);
}

TEST(sysv_a_key_collision_is_eexist,
     "System V: if a ring of another name has the same key, ring_open fails with EEXIST and "
     "ring_destroy with ENOENT; that ring is unaffected.")
{
    char aa[RING_NAME_MAX + 1], bb[RING_NAME_MAX + 1], too_long[RING_NAME_MAX + 2] = "";
    struct puppet *p = puppet_start();
    struct puppet *q = puppet_start();
    struct ring *r, *posix;

    colliding_names(aa, bb);
    memset(too_long, 'x', RING_NAME_MAX + 1);
    puppet_use(p);
    assert_fails_with_null(ring_open("a/b", RING_SYSV, 64, RING_CREATE), EINVAL);
    assert_fails_with_null(ring_open(too_long, RING_SYSV, 64, RING_CREATE), ENAMETOOLONG);
    posix = OPEN_RING(p, aa, RING_POSIX, 64, RING_CREATE);
    put_text(posix, "POSIX");
    r = OPEN_RING(p, aa, RING_SYSV, 4096, RING_CREATE | RING_EXCL);
    assert_empty(r);
    put_text(r, "of Aa");
    puppet_use(q);
    assert_fails_with_null(ring_open(bb, RING_SYSV, 4096, 0), EEXIST);
    assert_fails_with_null(ring_open(bb, RING_SYSV, 4096, RING_CREATE), EEXIST);
    assert_fails_with_null(ring_open(bb, RING_SYSV, 64, RING_CREATE), EEXIST);
    assert_fails(ring_destroy(bb, RING_SYSV), ENOENT);
    assert_not_mapped(q, bb, RING_SYSV, "EEXIST and ENOENT for a ring of another name");
    puppet_use(p);
    assert_next(r, "of Aa");
    ring_close(r);
    r = OPEN_RING(p, aa, RING_SYSV, 4096, 0);
    ring_close(r);
    assert_int_equal(ring_destroy(aa, RING_SYSV), 0);

    ring_close(posix); /* the ring of the other back end still exists */
    posix = OPEN_RING(p, aa, RING_POSIX, 64, 0);
    assert_next(posix, "POSIX");
    ring_close(posix);
    ring_destroy(aa, RING_POSIX);
}

/* ---- the start-up race --------------------------------------------------------------- */

/* A process that opens the ring while the creator is in the middle of creating it. */
struct opener {
    struct puppet *puppet;
    unsigned flags;
    char *buf;   /* in the arena, for what it gets */
    bool wakes;  /* an ordinary ring_get wakes up; if not, other tests judge that */
    bool unmaps; /* an ordinary ring_close unmaps; if not, other tests judge that */
    bool early;  /* its ring_open returned while the creator was still held */
    struct ring *ring;
};

/* One attempt: a creator that is held, and two openers. */
struct race {
    int backend;
    const char *name;
    struct puppet *creator;
    struct ring *created;
    struct opener *openers; /* two */
    bool openers_put;       /* a message to the creator; else each waits for one from it */
};

#define TWO_RINGS                                                                                  \
    "two processes opened one name at the same time, and a message that one of "                   \
    "them put is not there for the other"

static struct opener new_opener(int backend, unsigned flags, struct puppet *creator)
{
    const char *name = unique_name();
    struct opener o = {.puppet = puppet_start(), .flags = flags, .buf = arena_out("buf", 8)};
    struct ring *r = OPEN_RING(o.puppet, name, backend, 4096, RING_CREATE);
    struct ring *in_creator = OPEN_RING(creator, name, backend, 4096, 0);

    begin(o.puppet, ring_get(r, o.buf, 5, -1));
    assert_waits(o.puppet);
    puppet_use(creator);
    put_text(in_creator, "first");
    o.wakes = puppet_settle(o.puppet) == PUPPET_RETURNED;
    if (!o.wakes)
        return o;
    finish(o.puppet);
    puppet_use(creator);
    ring_close(in_creator);
    puppet_use(o.puppet);
    ring_close(r);
    o.unmaps = !has_mapped(o.puppet, name, backend);
    ring_destroy(name, backend);
    return o;
}

static void finish_open(struct opener *o)
{
    o->ring = (struct ring *)finish_word(o->puppet);
    if (o->ring == NULL && (errno != ENOENT || o->flags & RING_CREATE))
        fail_msg("ring_open found a ring that was being created, and failed with %s",
                 error_name(errno));
}

/* The first call with the new ring: a message for the creator, or a wait for
 * one from it. */
static void begin_first_call(const struct race *race, struct opener *o)
{
    if (o->ring == NULL)
        return;
    if (race->openers_put)
        begin(o->puppet, ring_put(o->ring, arena_string("hello"), 5, -1));
    else
        begin(o->puppet, ring_get(o->ring, o->buf, 5, -1));
    puppet_settle(o->puppet);
}

static void open_while_creator_is_held(struct race *race)
{
    for (int i = 0; i < 2; i++) {
        struct opener *o = &race->openers[i];

        begin(o->puppet, ring_open(race->name, race->backend, 4096, o->flags));
    }
    for (int i = 0; i < 2; i++) {
        struct opener *o = &race->openers[i];

        o->early = puppet_settle(o->puppet) == PUPPET_RETURNED;
        if (!o->early)
            continue;
        finish_open(o);
        begin_first_call(race, o);
    }
    fault_release(race->creator);
    for (int i = 0; i < 2; i++)
        if (!race->openers[i].early) {
            finish_open(&race->openers[i]);
            begin_first_call(race, &race->openers[i]);
        }
}

static void put_first_messages(const struct race *race)
{
    struct ring *again;

    /* One more process opens the ring, and must not harm those that sleep in it. */
    again = OPEN_RING(race->creator, race->name, race->backend, 4096, RING_CREATE);
    ring_close(again);
    for (int i = 0; i < 2; i++)
        if (race->openers[i].ring != NULL)
            put_text(race->created, "first");
}

/* The ring of an opener must work, and be the creator's. */
static void check_opener(const struct race *race, const struct opener *o)
{
    if (o->ring == NULL)
        return;
    assert_proceeds(o->puppet, race->openers_put ? SPACE_NOT_SEEN : TWO_RINGS);
    assert_int_equal(finish(o->puppet), race->openers_put ? 0 : 5);
    puppet_use(race->creator);
    if (race->openers_put && get_text(race->created) == NULL)
        fail_msg(TWO_RINGS);
    puppet_use(o->puppet);
    ring_close(o->ring);
    if (o->unmaps)
        assert_not_mapped(o->puppet, race->name, race->backend,
                          "ring_open found a ring that was being created, and ring_close");
}

/* Holds the creator right behind its nth call of that kind and lets the
 * openers open the ring. */
static bool run_race(void *context, enum fault_call where, unsigned nth, unsigned *count)
{
    struct race *race = context;
    struct puppet *creator = race->creator;
    bool held;

    race->name = unique_name();
    fault_clear(creator);
    fault_watch(creator, where);
    if (nth > 0)
        fault_hold(creator, where, nth);
    watch_mapping(creator, race->backend);
    begin(creator, ring_open(race->name, race->backend, 4096, RING_CREATE));
    held = puppet_settle(creator) == PUPPET_HELD;
    if (held)
        open_while_creator_is_held(race);
    race->created = (struct ring *)finish_word(creator);
    if (race->created == NULL)
        fail_msg("ring_open failed with %s", error_name(errno));
    assert_mapping_seen(creator, race->backend);
    *count = fault_count(creator, where);
    fault_clear(creator);
    puppet_use(creator);
    if (held && !race->openers_put)
        put_first_messages(race);
    for (int i = 0; held && i < 2; i++)
        check_opener(race, &race->openers[i]);
    puppet_use(creator);
    assert_empty(race->created);
    ring_close(race->created);
    ring_destroy(race->name, race->backend);
    return held;
}

static void no_process_gets_an_uninitialised_ring_over(int backend)
{
    static const enum fault_call calls[] = {
        FAULT_SHM_OPEN, FAULT_FTRUNCATE, FAULT_MMAP,   FAULT_SHMGET, FAULT_SHMAT,
        FAULT_SEM_INIT, FAULT_SEM_OPEN,  FAULT_SEMGET, FAULT_SEMCTL, FAULT_MUTEX_LOCK,
    };
    struct puppet *creator = puppet_start();
    struct opener openers[2] = {new_opener(backend, 0, creator),
                                new_opener(backend, RING_CREATE, creator)};
    struct race put = {.backend = backend, .creator = creator, .openers = openers}, get = put;
    bool wake = openers[0].wakes && openers[1].wakes;
    unsigned ignored;

    put.openers_put = true;
    for (int i = 0; i < 2; i++)
        if (!wake)
            openers[i].puppet = puppet_start();

    run_race(&put, calls[0], 0, &ignored); /* the first call may do more */
    for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++) {
        sweep(calls[i], run_race, &put);
        if (wake)
            sweep(calls[i], run_race, &get);
    }
}

TEST(no_process_gets_an_uninitialised_ring,
     "While a creator initialises a ring, no other process gets it uninitialised, gets a second "
     "ring, or leaves memory mapped.")
{
    no_process_gets_an_uninitialised_ring_over(RING_POSIX);
}

TEST(sysv_no_process_gets_an_uninitialised_ring,
     "System V: while a creator initialises a ring, no other process gets it uninitialised, gets "
     "a second ring, or leaves memory attached.")
{
    no_process_gets_an_uninitialised_ring_over(RING_SYSV);
}

/* ---- system calls that fail ------------------------------------------------------------ */

/* What a process held before a ring_open that may fail. */
struct held_before {
    struct fd_info fds[64];
    size_t nfds;
    const char *objects;
};

static void check_failed_open(struct puppet *a, const char *name, int backend,
                              const struct held_before *before)
{
    assert_fds_are(puppet_pid(a), before->fds, before->nfds);
    assert_not_mapped(a, name, backend, "a ring_open that failed");
    if (strcmp(leftovers(), before->objects) != 0)
        fail_msg("a ring_open that failed left something behind: %s", leftovers());
}

/* The function of libc, if no ring can be opened without such a call; NULL otherwise. */
static const char *needed_function(int backend, enum fault_call call)
{
    if (call == FAULT_MMAP && backend == RING_POSIX)
        return "mmap()";
    if (backend == RING_POSIX)
        return NULL;
    return call == FAULT_SHMGET ? "shmget()" : call == FAULT_SHMAT ? "shmat()" : NULL;
}

struct failure { /* of a call to libc in ring_open */
    int backend;
    struct puppet *creator; /* of the ring; NULL if ring_open creates it */
    int error;
};

/* Lets the nth call of that kind in ring_open fail, or all of them where ring_open
 * cannot do without. */
static bool fail_nth(void *context, enum fault_call call, unsigned nth, unsigned *count)
{
    const struct failure *failure = context;
    struct puppet *creator = failure->creator;
    int backend = failure->backend, error = failure->error, open_errno;
    struct puppet *a = puppet_start(); /* a new one each time: its calls are the same ones */
    const char *name = unique_name(), *needed = needed_function(backend, call);
    unsigned flags = creator != NULL ? 0 : RING_CREATE;
    struct ring *r, *created = NULL;
    struct held_before before;
    bool fired;

    if (creator != NULL) {
        created = OPEN_RING(creator, name, backend, 4096, RING_CREATE);
        put_text(created, "safe");
    }
    puppet_use(a);
    ring_close(NULL); /* loads the submission */
    before.nfds = process_fds(puppet_pid(a), before.fds, 64);
    before.objects = test_string(leftovers());
    fault_watch(a, call);
    if (nth == 1 && needed != NULL)
        fault_fail_from(a, call, nth, error);
    else if (nth > 0)
        fault_fail(a, call, nth, error);
    r = ring_open(name, backend, 4096, flags);
    open_errno = errno;
    fired = fault_fired(a);
    *count = fault_count(a, call);
    if (r != NULL && needed != NULL && *count == 0)
        fail_msg("ring_open returned a ring without a call of %s; call the function of libc",
                 needed);
    if (r != NULL && needed != NULL && nth == 1)
        fail_msg("ring_open returned a ring although every call of %s failed; call the function "
                 "of libc",
                 needed);
    fault_clear(a);
    if (r == NULL) {
        if (!fired || open_errno != error)
            fail_msg("ring_open failed with %s where a system call failed with %s",
                     error_name(open_errno), error_name(error));
        check_failed_open(a, name, backend, &before);
        r = OPEN_RING(a, name, backend, 4096, flags);
    }
    if (creator != NULL)
        assert_next(r, "safe");
    assert_empty(r);
    ring_close(r);
    ring_destroy(name, backend);
    if (creator != NULL) {
        puppet_use(creator);
        ring_close(created);
    }
    puppet_end(a);
    return fired;
}

static void a_failed_open_leaves_nothing_behind_over(int backend)
{
    static const struct {
        enum fault_call call;
        int error;
    } faults[] = {
        {FAULT_SHM_OPEN, EMFILE}, {FAULT_FTRUNCATE, ENOSPC}, {FAULT_MMAP, ENOMEM},
        {FAULT_SHMGET, ENOSPC},   {FAULT_SHMAT, ENOMEM},     {FAULT_SEM_OPEN, ENOSPC},
        {FAULT_SEMGET, ENOSPC},   {FAULT_SHMCTL, EACCES},    {FAULT_SEMCTL, EACCES},
    };
    struct failure alone = {.backend = backend}, second = {backend, puppet_start(), 0};

    for (size_t i = 0; i < sizeof(faults) / sizeof(*faults); i++) {
        alone.error = second.error = faults[i].error;
        sweep(faults[i].call, fail_nth, &alone);
        sweep(faults[i].call, fail_nth, &second);
    }
}

TEST(a_failed_open_leaves_nothing_behind,
     "When a system call makes ring_open fail, ring_open fails with that errno and leaves no "
     "object, semaphore, lock file, descriptor or mapping behind.")
{
    a_failed_open_leaves_nothing_behind_over(RING_POSIX);
}

TEST(sysv_a_failed_open_leaves_nothing_behind,
     "System V: when a system call makes ring_open fail, ring_open fails with that errno and "
     "leaves no segment, semaphore, lock file or mapping behind.")
{
    a_failed_open_leaves_nothing_behind_over(RING_SYSV);
}
