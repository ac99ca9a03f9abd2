/* pipeline.h - run commands as a shell's pipeline does: the contract.
 *
 *     in_fd --> stages[0] --> stages[1] --> ... --> stages[n - 1] --> out_fd
 *              0        1    0        1            0            1
 *                   pipe          pipe        pipe
 *
 * Each stage is a process of its own, made with fork and exec; between two
 * neighbours is one pipe.  They are the C library's (fork or vfork, pipe or
 * pipe2, an exec of your choice), which the tests make fail.  All stages run
 * at the same time.  You implement this in pipeline.c, and the program over it
 * in main.c.
 */
#ifndef PIPELINE_H
#define PIPELINE_H

#include <stddef.h>

/* One command: argv as execvp takes it, argv[0] the command's name, the last
 * element NULL.  It belongs to the caller and is only read. */
struct pipeline_stage {
    char *const *argv;
};

/* Runs the stages, waits until all of them have ended, and stores how each of
 * them ended in status[0 .. nstages - 1]: the status word that waitpid gives,
 * for WIFEXITED and its sisters.
 *
 * The first stage reads in_fd, the last one writes out_fd; each other input
 * and output is a pipe.  The two may be any open descriptors: in_fd = 0 with
 * out_fd = 1, in_fd = 1 with out_fd = 0, twice the same one, marked
 * close-on-exec or not.
 *
 * Returns 0 when every stage was started and has ended, whatever their exit
 * statuses are.  In particular a command that cannot be executed is no error
 * here: that stage exits with 127 when exec says ENOENT, and with 126 when it
 * says anything else.  (It may say why on descriptor 2.)
 *
 * Returns -1 with errno:
 *   EINVAL  stages or status is NULL, nstages is 0, or a stage has no argv or
 *           no argv[0].  Nothing was started, status[] was not written.
 *   EBADF   in_fd or out_fd is not open.  Likewise.
 *   any     of a fork, pipe or malloc that failed.  Everything is undone:
 *           stages that were started have been killed with SIGKILL (any
 *           other signal they might ignore) and waited for, all new
 *           descriptors are closed.  status[i] is the status word of a stage
 *           that was started, and -1 for one that was not.
 * When the descriptors of a stage cannot be set up (dup2 fails), the stage
 * does not run its program.  In the child: it exits with 126.  In the parent:
 * -1 with errno, as above.
 *
 * What a stage has when its program starts:
 *   descriptors  0 its input, 1 its output, 2 the caller's (closed when the
 *                caller's is closed), and all that the caller left
 *                inheritable; but not in_fd and out_fd under their own
 *                numbers, if these are above 2, and no end of any other pipe;
 *   signals      SIGPIPE has its default action, no signal is blocked; all
 *                else as exec leaves it (what the caller ignores stays
 *                ignored);
 *   program      found as execvp finds it; a file that is executable and has
 *                no #! line is run by sh;
 *   the rest     is the caller's: environment, current folder, umask, process
 *                group and whatever else fork and exec hand down.
 *
 * What the caller has afterwards, also after a failure: the descriptors it had
 * before, as they were before, close-on-exec or not; no new ones, also if 0, 1
 * or 2 was closed; its signal mask and dispositions; no children of this call,
 * running or zombie.  Children that the caller had before are not waited for.
 * What lay in the caller's stdio buffers comes out once.  A child never
 * returns from this function.
 *
 * It waits asleep, neither spinning nor polling.  Signals that the caller
 * handles do not end it (EINTR is for you to deal with).
 *
 * Preconditions: SIGCHLD is not ignored, or the system throws the statuses
 * away; no handler and no other thread reaps the stages.
 */
int pipeline_run(const struct pipeline_stage *stages, size_t nstages, int in_fd, int out_fd,
                 int status[]);

/* The program, main.c over pipeline_run:
 *
 *     pipeline [--status] COMMAND [ARG]... ['|' COMMAND [ARG]...]...
 *
 * An argument that is exactly | separates two stages (a shell needs it
 * quoted).  The first stage reads standard input, the last one writes
 * standard output.  Options begin with - and stand before the first command;
 * -- ends them; a lone - is no option, but a command's name.
 *
 * Exit status: that of the last stage, 128 + n when signal n killed it.
 *     2    usage: no command at all, nothing before, between or after |, an
 *          option that does not exist; says so on standard error, starts
 *          nothing
 *     125  pipeline_run failed; says so on standard error
 *
 * Precondition: it is started with SIGCHLD not ignored and 0, 1 and 2 open.
 *
 * --status also prints one line to standard error when all have ended, the
 * exit statuses of all stages, first to last, as bash has them in PIPESTATUS:
 *     status: 141 0
 * There is none after a usage error or when pipeline_run failed.
 */

#endif
