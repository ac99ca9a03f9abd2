/* exit_status.h - the exit statuses of a test binary.  The status alone is the
 * verdict (class TestExit in grader/labkit/grading/run.py has the same numbers).
 */
#ifndef EXIT_STATUS_H
#define EXIT_STATUS_H

enum exit_status {
    STATUS_PASSED = 0,       /* every chosen test passed */
    STATUS_FAILED = 1,       /* a test failed: the submission is wrong */
    STATUS_USAGE = 2,        /* the command line is wrong; no test ran */
    STATUS_GRADER_ERROR = 3, /* the grader is broken: never a score */
    STATUS_HUNG = 4,         /* a test failed because the submission hangs */
    /* The sandbox ended, or does not reply, after student code had run; whose
     * fault that is, labkit finds out. */
    STATUS_SANDBOX_ENDED = 5,
};

#endif
