/* valgrind_log.h - the kit's own lines in Valgrind's log (valgrind_log.c).
 * Without Valgrind these functions do nothing.
 *
 * Valgrind puts "**PID** " in front of each line:
 *
 *     **4711** submission loaded
 *     **4711** submission at 4a21000 to 4a22fff
 *     **4700** puppet 4711 ended
 *
 * Only parse() in grader/labkit/grading/memcheck.py reads these lines.  They
 * tell it which processes must have written a report and which addresses belong
 * to the student's code.
 */
#ifndef VALGRIND_LOG_H
#define VALGRIND_LOG_H

#include <stdbool.h>
#include <sys/types.h>

/* This process is about to load the submission; a report must follow. */
void log_submission_loaded(void);

/* The submission's code lies at [start, end).  A #line can forge the file that
 * a stack names; the address cannot be forged. */
void log_submission_at(unsigned long start, unsigned long end);

/* A puppet exited normally, so its report must be complete. */
void log_puppet_ended(pid_t pid);

/* Whether this process, and the children that it creates from now on, report
 * leaks at their end.  A child of a puppet does not: its memory is a copy that
 * is gone at exec or _exit, so nothing in it can leak. */
void log_leaks(bool on);

#endif
