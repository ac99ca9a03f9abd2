/* pipeline.h - run commands as a shell's pipeline does: the contract.
 *
 *     in_fd --> stages[0] --> stages[1] --> ... --> stages[n - 1] --> out_fd
 *              0        1    0        1            0            1
 *                   pipe          pipe        pipe
 *
 * Each stage is a child process of its own, made with fork and exec; a pipe
 * connects it to the next stage.  pipeline_run makes no other process and no
 * other pipe between stages.  Use the C library's functions (fork or vfork, pipe
 * or pipe2, dup2, any exec), because the tests make these fail and compare them
 * with the processes and pipes that they see.  All stages run concurrently.  You implement pipeline_run in pipeline.c, and the program that
 * uses it in main.c.
 */
#ifndef PIPELINE_H
#define PIPELINE_H

#include <stddef.h>

/* One command: argv as execvp takes it.  argv[0] is the command's name, the
 * last element is NULL.  The caller owns it; pipeline_run only reads it.  Neither
 * stages nor argv need outlive the call. */
struct pipeline_stage {
    char *const *argv;
};

/* Starts all stages, waits until all of them have ended, and stores the wait
 * status of stage i in status[i], as waitpid does: for WIFEXITED, WEXITSTATUS,
 * WIFSIGNALED and WTERMSIG.  The system alone limits the number of stages.
 *
 * The first stage reads in_fd, the last one writes out_fd; every other input
 * and output is a pipe.  in_fd and out_fd may be any open descriptors: in their
 * places already (0 and 1), crossed (in_fd = 1, out_fd = 0), both the same, 2
 * (which stays standard error, too), with or without close-on-exec.
 *
 * Returns 0 when every stage was started and has ended, whatever its exit
 * status is.  A command that cannot be executed is not an error of
 * pipeline_run: its stage exits with 127 when exec fails with ENOENT, and with
 * 126 when exec fails with any other error; the other stages run.  (The stage
 * may print the reason on descriptor 2.)
 *
 * Returns -1 with errno:
 *   EINVAL  stages or status is NULL, nstages is 0, or a stage has no argv or
 *           no argv[0].  Nothing was started and status[] was not written.
 *   EBADF   in_fd or out_fd is not open.  Again, nothing was started and
 *           status[] was not written.
 *   other   errno of the fork, pipe or malloc that failed.  Everything is
 *           undone: the stages that had been started were killed with SIGKILL,
 *           which they cannot ignore, and waited for; all new descriptors were
 *           closed.  status[i] is the wait status of a stage that was started,
 *           and -1 for a stage that was not.
 * A stage whose descriptors cannot be set up, because dup2 fails, must not run
 * its program.  If dup2 fails in the child, the child ends with _exit(126); if
 * it fails in the parent, pipeline_run returns -1 with errno, as above.
 *
 * What a stage has when its program starts:
 *   descriptors  0 is its input, 1 its output, and 2 the caller's standard
 *                error, closed if the caller's is closed.  The stage inherits
 *                all other descriptors that the caller left inheritable, except
 *                that in_fd and out_fd are not open under their own numbers, if
 *                these are above 2.  No end of any other pipe is open;
 *   signals      SIGPIPE has its default action and no signal is blocked.  All
 *                other dispositions are as exec leaves them: what the caller
 *                ignores stays ignored;
 *   program      found as execvp finds it, in the caller's PATH; an executable
 *                file without a #! line is run by sh;
 *   the rest     environment, current directory, umask, process group and
 *                whatever else fork and exec pass on are the caller's.
 *
 * What the caller has after the call, successful or not:
 *   descriptors  those it had before, with the same close-on-exec flags, and no
 *                new ones.  Its 0, 1 or 2 may be closed, so that pipe returns
 *                these numbers: data still arrives unchanged, no error message
 *                is mixed into it, and the closed ones are closed afterwards;
 *   signals      the signal mask and the dispositions it had before;
 *   children     no child of this call, running or zombie.  The caller's other
 *                children are not waited for;
 *   stdio        what its stdio buffers hold is written once: a child never
 *                calls exit and never returns from this function.
 *
 * While stages run, pipeline_run sleeps; it neither spins (busy waiting) nor
 * polls.  A stopped stage has not ended.  A signal that the caller handles does
 * not end the wait: an interrupted system call (EINTR) is restarted, also while
 * a failure is undone.  Stages may end at any time and in any order: no race
 * condition loses data, a wait status or a wake-up.
 *
 * Preconditions: SIGCHLD is not ignored, because the system would discard the
 * wait statuses; no signal handler and no other thread waits for the stages.
 */
int pipeline_run(const struct pipeline_stage *stages, size_t nstages, int in_fd, int out_fd,
                 int status[]);

/* The program, main.c, which calls pipeline_run:
 *
 *     pipeline [--status] COMMAND [ARG]... ['|' COMMAND [ARG]...]...
 *
 * An argument that is exactly | separates two stages (quote it, or the shell
 * takes it).  The first stage reads standard input, the last one writes
 * standard output.  Options begin with - and come before the first command.
 * The argument -- ends the options; a single - is not an option but the name of
 * a command.
 *
 * Exit status: that of the last stage, or 128 + n if signal n killed it, except
 *     2    wrong usage: no command; an empty command before, between or after
 *          |; an unknown option.  Prints a message to standard error and starts
 *          nothing;
 *     125  pipeline_run failed.  Prints a message to standard error.
 *
 * --status also prints one line to standard error when all stages have ended:
 * the exit statuses of all stages from first to last, like PIPESTATUS in bash:
 *     status: 141 0
 * It prints no such line after wrong usage or when pipeline_run failed.
 *
 * Precondition: it is started with SIGCHLD not ignored and 0, 1 and 2 open.
 */

#endif
