/* support.h - what tests of any lab need besides puppets: random numbers,
 * text, names of errors and signals, failures that name the caller's line,
 * files, programs and their output, and the shrinking of a failing sequence.
 *
 * All of it runs in the test process.  What a test cannot have for the
 * grader's own fault (no memory, no descriptor) is a grader error.
 */
#ifndef SUPPORT_H
#define SUPPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "testkit.h"

/* ---- random numbers ------------------------------------------------------- */

/* All of these draw from random_next() (testkit.h); the state may begin with
 * any value, testkit_seed() for one. */

/* A number from 0 to n - 1: random_next() % n.  n is not 0. */
uint64_t random_below(uint64_t *state, uint64_t n);
/* A number from low to high, both included. */
uint64_t random_between(uint64_t *state, uint64_t low, uint64_t high);
/* Brings n items of item_bytes each into a random order. */
void random_shuffle(uint64_t *state, void *items, size_t n, size_t item_bytes);
/* Fills memory with bytes that depend on the seed alone: a message that can be
 * made again to compare with. */
void random_fill(void *memory, size_t size_bytes, uint64_t seed);

/* ---- text ------------------------------------------------------------------- */

/* Appends to a text in a buffer of size_bytes; text[0] is '\0' before the
 * first.  What does not fit is cut off, and the text ends with "..." then;
 * false from then on. */
bool text_add(char *text, size_t size_bytes, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A text as C writes it, without the quotation marks: \n, \x07; cut off with
 * "..." after about 300 characters.  Valid until eight more were made. */
const char *quoted(const char *text);

/* ---- names, for messages ------------------------------------------------------ */

/* Each of these is valid until eight more were made. */

/* "EAGAIN"; "no error" for 0; "errno 4711" where there is no name. */
const char *error_name(int error);
/* "SIGKILL"; "signal 63" where there is no name. */
const char *signal_name(int number);
/* What became of a process, by its status word (waitpid): "ended with exit
 * status 3", "was killed by SIGKILL"; for any other word "has 0x..., which is
 * no status of a process that ended". */
const char *status_text(int status);

/* ---- time --------------------------------------------------------------------- */

uint64_t now_ns(void); /* CLOCK_MONOTONIC */

/* ---- failures in the caller's line ---------------------------------------------- */

/* A helper of a lab fails in the line of the test that called it.  After the
 * helper comes a macro of its name:
 *
 *     static void assert_full(struct ring *r)
 *     {
 *         if (!is_full(r))
 *             fail_call("the ring has %zu free bytes; expected: none", free_bytes(r));
 *     }
 *     #define assert_full(...) FROM_HERE(assert_full(__VA_ARGS__))
 *
 * Without FROM_HERE() before it, fail_call() fails in the line of TEST(). */
#define FROM_HERE(call) (from_here(__FILE__, __LINE__), call)
void from_here(const char *file, int line);
__attribute__((noreturn, format(printf, 1, 2))) void fail_call(const char *format, ...);

/* Fails, in this line, unless the call returns -1 and sets this errno:
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

/* Files that are in no directory (memfd), to hand to a puppet with
 * puppet_give_fd(), which then shares their position.  Close-on-exec, to be
 * closed by the caller. */

/* Holds size_bytes of text, to be read from its beginning; /proc/PID/fd shows
 * it as /memfd:NAME. */
int file_new(const char *name, const void *text, size_t size_bytes);
int input_file(const char *text); /* named "in" */
int output_file(void);            /* empty, named "out" */

size_t file_size(int fd);
/* All of it, with a '\0' behind; to be freed.  Fails the test when the file
 * changes meanwhile. */
char *file_contents(int fd);
/* To be read from its beginning again. */
void file_rewind(int fd);
/* Empty again. */
void file_clear(int fd);

/* Fails, in this line, unless a file holds exactly this text. */
#define assert_file_holds(fd, expected) check_file_holds(fd, #fd, expected, __FILE__, __LINE__)
void check_file_holds(int fd, const char *name, const char *expected, const char *file, int line);

/* ---- programs --------------------------------------------------------------------- */

struct outcome {       /* of a program that has ended */
    char command[300]; /* as one would type it, for messages */
    int status;        /* as waitpid stores it */
    int in, out, err;  /* files: what it had to read, what it wrote */
};

/* Runs a program in the sandbox, in a puppet of its own, until it ends, with
 * this text as its standard input; argv[0] is a path (program_path()).  The
 * current puppet stays the current one.  To be closed by the caller, which
 * assert_outcome() does. */
struct outcome run_program(const char *input, const char *const argv[]);
void outcome_close(const struct outcome *);

/* run_program() without input: RUN_PROGRAM(program_path("pipeline"), "ls") */
#define RUN_PROGRAM(...) run_program("", (const char *const[]){__VA_ARGS__, NULL})

/* For assert_outcome(): what it does not look at, and what must not be empty. */
#define ANYTHING NULL
extern const char SOMETHING[];

/* Fails, in this line and naming the command, unless the program exited with
 * this status and wrote these to standard output and standard error; closes
 * its files. */
#define assert_outcome(outcome, exit_status, out, err)                                             \
    check_outcome(outcome, exit_status, out, err, __FILE__, __LINE__)
void check_outcome(struct outcome, int exit_status, const char *out, const char *err,
                   const char *file, int line);

/* What a shell command prints in the sandbox, without the last newline, to be
 * freed; $1 in the command is argument.  For what a test needs there, a
 * directory for example, never for a verdict: its failure is a grader error. */
char *run_shell(const char *command, const char *argument);

/* ---- the shortest failing sequence ------------------------------------------------- */

/* A sequence of operations that goes wrong, while it is made shorter. */
struct sequence {
    void *ops; /* n of op_bytes each, in memory of the caller; changed in place */
    size_t n, op_bytes;

    /* Runs n operations from the start.  Returns how many it took until one
     * went wrong (1 to n; that one included), or 0 when none did. */
    size_t (*run)(const void *ops, size_t n, void *context);

    /* Makes one operation simpler, in the attempt-th way that there is (from
     * 0), smaller ones of its arguments for example; false when there are no
     * more ways.  A way must not lead back.  NULL: operations are only left
     * out. */
    bool (*simplify)(void *op, unsigned attempt, void *context);

    void *context;   /* passed on to both */
    size_t max_runs; /* at most so many runs in one sequence_shrink(); 0: no limit */
};

/* Makes a failing sequence shorter and simpler until nothing more can be left
 * out (one operation or two at a time) or made simpler.  What comes after the
 * operation that goes wrong is cut off.  True when anything changed: where the
 * caller simplifies other things as well, both take turns until neither finds
 * more.  A sequence that does not fail stays as it is: false.
 *
 * The sequence that was run last need not be the one that is left: run that
 * once more for its message. */
bool sequence_shrink(struct sequence *);

#endif
