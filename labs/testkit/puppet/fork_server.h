/* fork_server.h - the first process of a sandbox, which forks puppets
 * (fork_server.c).
 */
#ifndef FORK_SERVER_H
#define FORK_SERVER_H

struct fork_server {
    int fd;     /* its socket to the test process */
    int log_fd; /* Valgrind's log, closed in puppets; -1: none */
    const char *submission_path;
};

/* Serves requests until the test process closes its end of the socket, or ends;
 * then kills all descendants, removes the shared folder and exits. */
__attribute__((noreturn)) void fork_server_run(const struct fork_server *);

#endif
