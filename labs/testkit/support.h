/* support.h - helpers for the tests of any lab: random numbers, text, names of
 * errors and signals, failures that name the caller's line, files, programs and
 * their output, and the shrinking of a failing sequence.
 *
 * All of it runs in the test process.  A missing resource of that (memory, a
 * descriptor) is a grader error.
 */
#ifndef SUPPORT_H
#define SUPPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/text.h" /* text_add() */
#include "testkit.h"

/* ---- random numbers ------------------------------------------------------- */

/* All of these use random_next() (testkit.h).  The state may start with any
 * value, for example testkit_seed(). */

/* A number from 0 to n - 1: random_next() % n.  n is not 0. */
uint64_t random_below(uint64_t *state, uint64_t n);
/* A number from low to high, both included. */
uint64_t random_between(uint64_t *state, uint64_t low, uint64_t high);
/* Shuffles n items of item_bytes each. */
void random_shuffle(uint64_t *state, void *items, size_t n, size_t item_bytes);
/* Fills memory with bytes that depend only on the seed: a message that can be
 * generated again to compare with. */
void random_fill(void *memory, size_t size_bytes, uint64_t seed);

/* ---- text ------------------------------------------------------------------- */

/* A text with the escapes of C, without the quotation marks: \n, \x07; cut off
 * with "..." after about 300 characters.  Valid for eight more calls. */
const char *quoted(const char *text);

/* ---- names, for messages ------------------------------------------------------ */

/* Each of these is valid for eight more calls. */

/* "EAGAIN"; "no error" for 0; "errno 4711" for an error without a name. */
const char *error_name(int error);
/* "SIGKILL"; "signal 63" for a signal without a name. */
const char *signal_name(int number);
/* How a process ended, from its wait status (waitpid): "ended with exit
 * status 3", "was killed by SIGKILL"; for any other value "has 0x..., which is
 * no status of a process that ended". */
const char *status_text(int status);

/* ---- time --------------------------------------------------------------------- */

uint64_t now_ns(void); /* CLOCK_MONOTONIC */

/* ---- failures in the caller's line ---------------------------------------------- */

/* A failure in a helper should name the line of the test that called it.  For
 * that, a macro with the helper's name follows the helper:
 *
 *     static void assert_full(struct ring *r)
 *     {
 *         if (!is_full(r))
 *             fail_call("the ring has %zu free bytes; expected: none", free_bytes(r));
 *     }
 *     #define assert_full(...) FROM_HERE(assert_full(__VA_ARGS__))
 *
 * Without FROM_HERE(), fail_call() names the line of TEST(). */
#define FROM_HERE(call) (from_here(__FILE__, __LINE__), call)
void from_here(const char *file, int line);
__attribute__((noreturn, format(printf, 1, 2))) void fail_call(const char *format, ...);

/* Fails, naming this line, unless the call returns -1 and sets this errno:
 *     assert_fails(ring_get(ring, buf, 8, 0), ETIMEDOUT);
 * "ring_get(ring, buf, 8, 0) returned 8; expected: -1 (ETIMEDOUT)" */
#define assert_fails(call, error)                                                                  \
    do {                                                                                           \
        long value_ = (long)(call);                                                                \
        check_fails(value_, errno, #call, error, __FILE__, __LINE__);                              \
    } while (0)
void check_fails(long value, int error, const char *call, int expected, const char *file, int line);

/* The same for a call that returns a pointer: NULL, and this errno. */
#define assert_fails_with_null(call, error)                                                        \
    do {                                                                                           \
        const void *value_ = (call);                                                               \
        check_fails_with_null(value_, errno, #call, error, __FILE__, __LINE__);                    \
    } while (0)
void check_fails_with_null(const void *value, int error, const char *call, int expected,
                           const char *file, int line);

/* ---- files ---------------------------------------------------------------------- */

/* Files that are in no directory (memfd), for puppet_give_fd(); the puppet then
 * shares their offset.  Close-on-exec.  The caller closes them. */

/* Holds size_bytes of text; its offset is 0.  /proc/PID/fd shows it as
 * /memfd:NAME. */
int file_new(const char *name, const void *text, size_t size_bytes);
int input_file(const char *text); /* named "in" */
int output_file(void);            /* empty, named "out" */

size_t file_size(int fd);
/* Everything in the file, followed by '\0'; the caller frees it.  Fails the
 * test when the file changes meanwhile, or has more than 128 MiB. */
char *file_contents(int fd);
/* Sets the offset to 0. */
void file_rewind(int fd);
/* Truncates the file to 0 bytes and sets the offset to 0. */
void file_clear(int fd);

/* Fails, naming this line, unless a file holds exactly this text. */
#define assert_file_holds(fd, expected) check_file_holds(fd, #fd, expected, __FILE__, __LINE__)
void check_file_holds(int fd, const char *name, const char *expected, const char *file, int line);

/* ---- programs --------------------------------------------------------------------- */

struct outcome {       /* of a program that has ended */
    char command[300]; /* as one would type it, for messages */
    int status;        /* wait status (waitpid) */
    int in, out, err;  /* files: its standard input, output and error */
};

/* Runs a program in the sandbox, in a puppet of its own, until it ends, with
 * this text as its standard input; argv[0] is a path (program_path()).  The
 * current puppet stays the current one.  The caller closes its files;
 * assert_outcome() does that. */
struct outcome run_program(const char *input, const char *const argv[]);
void outcome_close(const struct outcome *);

/* The same for a program that came with the lab and runs no student code, without
 * input.  Its exit status can still be student code's doing, once that has run in
 * the sandbox: see sandbox_spoiled(), which is called if it did not exit. */
struct outcome run_given_program(const char *const argv[]);

/* run_program() without input: RUN_PROGRAM(program_path("pipeline"), "ls") */
#define RUN_PROGRAM(...) run_program("", (const char *const[]){__VA_ARGS__, NULL})

/* For assert_outcome(): ANYTHING is not checked, SOMETHING must not be empty. */
#define ANYTHING NULL
extern const char SOMETHING[];

/* Fails, naming this line and the command, unless the program exited with this
 * status and wrote these to standard output and standard error; closes its
 * files. */
#define assert_outcome(outcome, exit_status, out, err)                                             \
    check_outcome(outcome, exit_status, out, err, __FILE__, __LINE__)
void check_outcome(struct outcome, int exit_status, const char *out, const char *err,
                   const char *file, int line);

/* Runs a shell command in the sandbox, with `argument` as its $1.  Returns its
 * output without the last newline; the caller frees it.  For a command that
 * prepares a test (makes a directory) and judges nothing: if it fails, see
 * sandbox_spoiled(). */
char *run_shell(const char *command, const char *argument);

/* ---- the shortest failing sequence ------------------------------------------------- */

/* A failing sequence of operations, which is made shorter. */
struct sequence {
    void *ops; /* n of op_bytes each; the caller's memory, changed in place */
    size_t n, op_bytes;

    /* Runs n operations from the start.  Returns the number of the first that
     * failed (1 to n), or 0 when none did. */
    size_t (*run)(const void *ops, size_t n, void *context);

    /* Makes one operation simpler in its attempt-th way (from 0), for example
     * with a smaller argument; false when there are no more ways.  Repeated
     * simplifying must come to an end.  NULL: operations are only left out. */
    bool (*simplify)(void *op, unsigned attempt, void *context);

    void *context;   /* passed on to both */
    size_t max_runs; /* limit of the runs in one sequence_shrink(); 0: no limit */
};

/* Makes a failing sequence shorter and simpler until nothing more can be left
 * out (one operation or two at a time) or made simpler.  Operations after the
 * one that fails are cut off.  Returns whether anything changed: a caller that
 * simplifies other things too repeats both until neither changes anything.  A
 * sequence that does not fail is left as it is.
 *
 * The last sequence that was run may not be the one that is left: run that
 * once more for its message. */
bool sequence_shrink(struct sequence *);

#endif
