/* testkit.h - the interface for tests: TEST(), puppets, memory, faults.
 *
 * A test never runs in the process that runs student code.  The test process
 * starts *puppets*: processes that load submission.so and call its functions
 * on request.  A stub (stub.h) makes such a call look like an ordinary one:
 *
 *     TEST(alloc_rounds_up_to_a_power_of_two, "A block's size is the next power of two.")
 *     {
 *         void *base = arena_alloc("base", 1024);
 *         void *meta = arena_alloc("meta", buddy_sizeof(1024, 16));
 *         struct buddy *b = buddy_init(meta, base, 1024, 16);
 *
 *         assert_ptr_equal(buddy_alloc(b, 100), base);
 *     }
 *
 * A stub calls the current puppet; the first call of a test starts one if
 * there is none.  errno is the puppet's afterwards (0 if it was not set).
 *
 * Two voices, never mixed: a failed assertion says that the submission is
 * wrong; testkit_broken() says that the grader is, and is never a score.
 *
 * README.md draws the processes.  Each section below names the files of test/
 * that implement it.  support.h has random numbers, files, programs and more.
 */
#ifndef TESTKIT_H
#define TESTKIT_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <mqueue.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <cmocka.h>

#include "shared/fault_calls.h"
#include "shared/process.h" /* struct fd_info, process_children() */

/* ---- tests (main.c, session.c, random.c, failure.c, progress.c) ---------- */

/* Defines a test and registers it under its name, with its rule: one sentence
 * that says what a correct submission does, shown to the student when the test
 * fails and in the rubric.  Tests run in the order in which they appear in the
 * file. */
#define TEST(name, rule)                                                                           \
    static void name(void);                                                                        \
    __attribute__((constructor)) static void register_##name(void)                                 \
    {                                                                                              \
        testkit_register(#name, rule, __FILE__, __LINE__, name);                                   \
    }                                                                                              \
    static void name(void)

void testkit_register(const char *name, const char *rule, const char *file, int line,
                      void (*function)(void));

/* The seed of this run (--seed).  A failed test that used it prints it. */
uint64_t testkit_seed(void);

/* Whether puppets run under Valgrind, which has descriptors of its own in them; the
 * verdicts of such a run do not count. */
bool testkit_under_valgrind(void);

/* A random number (xorshift64*, never for secrets); changes the state. */
uint64_t random_next(uint64_t *state);

/* The grader itself failed: prints why and ends the run with status 3. */
__attribute__((noreturn, format(printf, 1, 2))) void testkit_broken(const char *format, ...);

/* Something that the test needs from the sandbox is missing there (a process,
 * memory, a file).  Before student code has run in it, that is a grader error;
 * afterwards the test fails, for the submission has used it up or broken it. */
__attribute__((noreturn, format(printf, 1, 2))) void sandbox_spoiled(const char *format, ...);

/* Waits until `condition` holds.  Fails the test when it does not within 20 s,
 * or sooner when nothing in the sandbox can run any more.  Tests wait in no
 * other way; how often the condition is checked never affects a verdict. */
#define WAIT_UNTIL(condition)                                                                      \
    do {                                                                                           \
        struct deadline until_ = deadline_start();                                                 \
        while (!(condition))                                                                       \
            if (!deadline_look_again(&until_))                                                     \
                wait_until_failed(#condition, __FILE__, __LINE__);                                 \
    } while (0)

struct progress {                    /* since when nothing in the sandbox has run */
    uint64_t since_ns, next_look_ns; /* CLOCK_MONOTONIC */
    uint64_t work;                   /* CPU time and context switches until then */
};
struct deadline {
    uint64_t end_ns; /* CLOCK_MONOTONIC */
    unsigned pause_us;
    struct progress progress;
};
struct deadline deadline_start(void);
/* A short pause; false when time is up, or nothing in the sandbox can run. */
bool deadline_look_again(struct deadline *);
/* Fails the test as one in which the submission hangs. */
__attribute__((noreturn)) void wait_until_failed(const char *condition, const char *file, int line);

/* ---- puppets (puppets.c, calls.c, blocked.c) ------------------------------- */

struct puppet; /* ends with its test at the latest */

struct puppet *puppet_start(void); /* a new one, which becomes the current one */
void puppet_use(struct puppet *);  /* stubs call this one from now on */
struct puppet *puppet_current(void);
pid_t puppet_pid(const struct puppet *); /* as the test process sees it */
void puppet_kill(struct puppet *);       /* SIGKILL; returns when it is dead */
void puppet_end(struct puppet *);        /* ends it by _exit(0) */

/* Starts a call and does not wait for it:
 *     begin(p, ring_put(ring, msg, 8, -1));
 *     assert_blocked(p);
 *     ...
 *     assert_int_equal(finish(p), 0);
 */
#define begin(p, call) (puppet_begin(p), (void)(call), puppet_begun())
void puppet_begin(struct puppet *);
void puppet_begun(void);

/* Waits for the call that begin() started, and returns its value: finish() for
 * int, finish_word() for pointers and sizes.  errno is set. */
int finish(struct puppet *);
uint64_t finish_word(struct puppet *);

enum puppet_state {
    PUPPET_RETURNED, /* the call is over; finish() will not wait */
    PUPPET_BLOCKED,  /* asleep in the kernel until another process wakes it */
    PUPPET_SPINNING, /* busy-waits */
    PUPPET_POLLING,  /* sleeps for a short time, checks, sleeps again */
    PUPPET_HELD,     /* held by fault_hold() */
    PUPPET_DEAD
};
/* Waits until the outstanding call of the puppet has settled into a state. */
enum puppet_state puppet_settle(struct puppet *);
/* Fails unless the puppet settles into PUPPET_BLOCKED; says what it did
 * instead ("it spins").  For calls without a timeout. */
void assert_blocked(struct puppet *);
/* As assert_blocked, for a call with a timeout: sleeping in the kernel with a
 * time limit is not polling there. */
void assert_blocked_with_timeout(struct puppet *);
/* For a lab whose contract starts no process, before its tests run (in a constructor
 * in stubs.c): no call counts as blocked while a process other than the puppets is
 * there, whatever it executes. */
void forbid_children(void);
/* Waits until the puppet is stopped at the end of an arena_trap() buffer. */
void assert_trapped(struct puppet *);
/* Lets such a puppet continue; it can use the page from now on. */
void trap_release(struct puppet *);

/* A function pointer for the student's code in this puppet.  Its calls are served
 * by `function` in the test, while the test waits for anything at all; nargs is
 * the number of its parameters (integers and pointers, at most six).  What the
 * function counts is the test's own observation.  A child that the submission
 * forks must not call it, and the function must not call this puppet. */
typedef uint64_t callback_function(struct puppet *, const uint64_t args[]);
void *callback(struct puppet *, callback_function *function, size_t nargs);

/* Puppet and test share one CPU by default, which makes a call cheap; tests
 * of concurrency call this before they start puppets. */
void puppets_use_all_cpus(void);

/* ---- descriptors and programs of a puppet (programs.c) ------------------------ */

/* Sends a descriptor to the puppet, where it has the given number (0 to 499)
 * and is inheritable.  The test keeps its own. */
void puppet_give_fd(struct puppet *, int fd, int as_number);
void puppet_close_fd(struct puppet *, int number);

/* The puppet executes another program; argv[0] is a path in the sandbox.  The
 * submission is not loaded for it.  Descriptors below 500 stay open. */
void puppet_exec(struct puppet *, const char *const argv[]);
/* Waits until the puppet has ended, and returns its wait status (waitpid). */
int puppet_wait(struct puppet *);
/* Path, in the sandbox, of a program of the lab or the submission:
 * program_path("pipeline").  The test's own memory (test_alloc()). */
const char *program_path(const char *name);

/* ---- many calls in one frame (script.c) ---------------------------------------- */

/*     struct script *s = script_new(1000);
 *     size_t a = RECORD(s, buddy_alloc(b, 16));
 *     RECORD(s, buddy_free(b, script_value(s, a)));
 *     script_run(s);
 *     assert_non_null((void *)script_result(s, a));
 */
struct script;
struct script *script_new(size_t max_calls);
#define RECORD(s, call) (script_begin(s), (void)(call), script_end(s))
void script_begin(struct script *);
size_t script_end(struct script *); /* index of the call recorded */
/* Stands for the value that call `index` will return, as an argument of a
 * later call of the same script. */
void *script_value(const struct script *, size_t index);
void script_run(struct script *); /* on the current puppet; may be refilled after */
/* As begin() and finish(): scripts that run in several puppets at once. */
void script_start(struct puppet *, struct script *);
void script_finish(struct puppet *, struct script *);
uint64_t script_result(const struct script *, size_t index);
int script_errno(const struct script *, size_t index);
void script_clear(struct script *);

/* ---- memory (own_memory.c, arena.c, overwrite.c) ---------------------------------- */

/* The test's own memory, which no puppet can reach, for names, texts and
 * expectations: zero-filled, and freed with the test. */
void *test_alloc(size_t size_bytes);
char *test_string(const char *text);
void *test_copy(const void *bytes, size_t size_bytes); /* of a result in the arena, say */

/* The arena: memory that test and puppets see at the same address, for
 * everything that is passed by pointer.  Blocks are aligned to 16 and lie
 * between red zones, which are checked at the end of the test ("wrote past the
 * end of meta").  Freed with the test.  A child that a puppet forks has its own
 * copy of the arena, as of all memory.
 *
 * A puppet may write to all of it at any time.  So nothing that a verdict rests
 * on stays there:
 *   - an input (arena_input(), arena_string(), arena_argv()) is a copy for one
 *     call, the next one that is made or recorded.  It is overwritten when that
 *     call has returned, so do not read it back, and do not pass it again;
 *   - a result (arena_out()) is copied once, right after its call.  Assert on the
 *     copy: the result is overwritten before the next call.
 * So a submission that keeps a pointer where it must copy fails, too. */
const void *arena_input(const char *name, const void *bytes, size_t size_bytes);
const char *arena_string(const char *text);
/* A copy of a NULL-terminated argv and its strings. */
char *const *arena_argv(const char *const argv[]);
/* For results: filled with 0xA5, and undefined for Memcheck. */
void *arena_out(const char *name, size_t size_bytes);
void *arena_out_at(const char *name, size_t size_bytes, size_t align_bytes, size_t misalign_bytes);
/* Memory that a contract leaves to the submission beyond a call (the metadata of
 * an allocator): zero-filled, or filled with 0xA5 and undefined for Memcheck.
 * What the test writes there itself it must know from elsewhere. */
void *arena_alloc(const char *name, size_t size_bytes);
void *arena_alloc_at(const char *name, size_t size_bytes, size_t align_bytes,
                     size_t misalign_bytes);
void *arena_undefined(const char *name, size_t size_bytes);
/* A result, or an input of which only the first bytes are accessible, that ends
 * at a page which no puppet can access: a copy that reaches it stops the puppet
 * there (assert_trapped), with its locks held, until it is killed or released
 * (trap_release).  Only in the puppet's first thread. */
void *arena_trap(const char *name, size_t size_bytes);
const void *arena_trap_input(const char *name, const void *bytes, size_t size_bytes,
                             size_t accessible_bytes);

/* ---- what test and sandbox share (folder.c) ------------------------------------------- */

/* An empty folder in the sandbox, one for each test, which is made when it is
 * first used and removed with the test.  Student code can do anything to what is
 * in it.  So the test opens files there without waiting (O_NONBLOCK) and without
 * following symbolic links; it reads them with read(), never through mmap(), and
 * gets the descriptor of a file of the wanted type or none.
 *
 *     begin(server, fifo_serve(arena_string(folder_path("fifo")), ...));
 *     WAIT_UNTIL((fd = folder_open("fifo", O_WRONLY, S_IFIFO)) >= 0);
 *
 * A name is that of a file in the folder itself. */

/* The path that student code uses, in the test's own memory; "": the folder's. */
const char *folder_path(const char *name);
/* Opens a file of this type (S_IFREG, S_IFIFO, ...), with the rights of student
 * code; the caller closes the descriptor.  -1 and errno: ENOENT; for a FIFO also
 * ENXIO (nobody reads it).  Fails the test when the file has another type or
 * cannot be opened. */
int folder_open(const char *name, int flags, mode_t type);
/* Makes an empty file, FIFO or directory with exactly these permissions:
 * folder_create("fifo", S_IFIFO | 0600). */
void folder_create(const char *name, mode_t mode);
/* False when there is no such file.  Does not follow a symbolic link. */
bool folder_stat(const char *name, struct stat *);
/* The names in it in ascending order, one per line, as quoted() shows them; at
 * most 256.  Valid until the next call. */
const char *folder_list(void);

/* Opens a message queue of the sandbox (O_CREAT: with mode 0600 and these
 * attributes, or the system's when attr is NULL); O_NONBLOCK is always set.  The
 * test sends and receives itself.  -1 and errno: ENOENT, EEXIST.  Fails the test
 * when the queue cannot be opened for another reason.  Closed with the test; the
 * name stays until it is unlinked or the sandbox is swept. */
mqd_t queue_open(const char *name, int flags, const struct mq_attr *attr);

/* ---- descriptors, children and objects left behind (leftovers.c) -------------------- */

/* As read_fds() in shared/process.h, which also has process_children(), but a
 * process that made itself unreadable fails the test. */
size_t process_fds(pid_t pid, struct fd_info *out, size_t max);
/* Whether the name of a mapping contains this text: an object's name, "/SYSV" and
 * a key in eight hexadecimal digits. */
bool process_has_mapped(pid_t pid, const char *name);

/* Fails, naming the descriptors, unless a process has exactly these. */
void assert_fds_are(pid_t pid, const struct fd_info *expected, size_t n);

/* Fails, naming the first, when a puppet has children, alive or zombies. */
void assert_no_children(struct puppet *);

/* The objects left in the sandbox: POSIX shared memory, semaphores and message
 * queues, System V objects, orphans.  One per line, "" for none; valid until
 * the next call. */
const char *leftovers(void);
/* The permissions of POSIX shared memory ("/name"), or of the System V segment with
 * this key, as the fork server sees them; -1 when there is none. */
int shm_mode(const char *name);
int sysv_shm_mode(int key);
/* Waits until there are none; fails, naming those that stay. */
void assert_nothing_left(void);
/* A name for a shared object that no other run uses: object_name("ring")
 * returns "/ring-" and digits, in the test's own memory; what is passed to a
 * function is arena_string(name).  Without namespaces of its own (--shared),
 * leftovers() sees only objects whose names contain such a name, and message
 * queues with exactly such a name where /dev/mqueue is not mounted. */
const char *object_name(const char *stem);

/* ---- faults (faults.c) ---------------------------------------------------------------- */

/* Which of the submission's calls to libc are counted, fail, are short, wait.
 * Such a call asks the test first, in a puppet and in its forked children; the
 * test counts them and decides.  nth counts from 1, for a puppet and its children
 * together, since the last fault_clear().  A submission can avoid the question by
 * a raw system call: a test names the calls that every correct solution makes
 * (assert_called), and lets them fail from the n-th on where no call is left that
 * could succeed.  The explanation of a failed test names each planned fault that
 * did not happen. */
void fault_fail(struct puppet *, enum fault_call, unsigned nth, int error);
/* The n-th call, and all after it. */
void fault_fail_from(struct puppet *, enum fault_call, unsigned nth, int error);
void fault_short(struct puppet *, enum fault_call, unsigned nth, size_t max_bytes);
/* Seeded random pauses, each at most max_us, before and after every such call. */
void fault_delay(struct puppet *, enum fault_call, uint64_t seed, unsigned max_us);
/* The puppet is held right after its n-th such call, or right before it
 * (puppet_settle returns PUPPET_HELD), until fault_release().  That also forgets
 * all plans: a call that has begun is then no longer held. */
void fault_hold(struct puppet *, enum fault_call, unsigned nth);
void fault_hold_before(struct puppet *, enum fault_call, unsigned nth);
void fault_release(struct puppet *);
/* Calls `observer` when such a call has returned, before the process continues; after
 * fork in the child as well; for exec, when it is about to be made.  So a test compares what the kernel shows then with
 * the calls that it has seen.  `process` is the one that made the call, or the
 * child. */
typedef void fault_observer(struct puppet *, pid_t process);
void fault_observe(struct puppet *, enum fault_call, fault_observer *observer);
/* mmap and shmat without an address return a different one in every puppet. */
void fault_displace_maps(struct puppet *);

/* Calls are counted from here on; each plan implies it. */
void fault_watch(struct puppet *, enum fault_call);
unsigned fault_count(struct puppet *, enum fault_call); /* calls made so far */
bool fault_fired(struct puppet *); /* a planned failure, short transfer or hold happened */
/* The process in which the last of them happened, the puppet or a child, as the
 * test sees it; 0 if none has. */
pid_t fault_process(struct puppet *);
bool fault_repeated(struct puppet *); /* that process has made such a call again */
void fault_clear(struct puppet *);    /* forgets plans and counts, and releases what is held */

/* Fails, naming this line, unless one of these calls, which are watched, was made:
 *     assert_called(p, FAULT_FORK, FAULT_SPAWN);
 * "no call of fork() or posix_spawn() was seen in pipeline_run(...)" */
#define assert_called(p, ...)                                                                      \
    check_called(p, (const enum fault_call[]){__VA_ARGS__},                                        \
                 sizeof((const enum fault_call[]){__VA_ARGS__}) / sizeof(enum fault_call),         \
                 __FILE__, __LINE__)
void check_called(struct puppet *, const enum fault_call any_of[], size_t n, const char *file,
                  int line);

#endif
