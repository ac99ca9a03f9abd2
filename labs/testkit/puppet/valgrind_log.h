/* valgrind_log.h - the lines that the kit itself writes into Valgrind's log.
 * Without Valgrind these functions do nothing.
 *
 * Valgrind puts "**PID** " in front of each:
 *
 *     **4711** submission loaded
 *     **4711** submission at 4a21000 to 4a22fff
 *     **4700** puppet 4711 ended
 *
 * This is their only writer.  Their only reader is grader/labkit, which takes
 * from them which processes owe a report and which addresses are the
 * student's code.
 */
#ifndef VALGRIND_LOG_H
#define VALGRIND_LOG_H

#include <sys/types.h>

/* This process is about to load the submission: a report must follow. */
void log_submission_loaded(void);

/* The submission's code lies at [start, end): the file that a stack names can
 * be changed with a #line, the address cannot. */
void log_submission_at(unsigned long start, unsigned long end);

/* A puppet exited normally, so its report must be complete. */
void log_puppet_ended(pid_t pid);

/* In a forked child of a puppet: it reports no leaks.  Its memory is a copy
 * that is gone at exec or _exit, so that what it "lost" is no leak. */
void log_no_leaks(void);

#endif
