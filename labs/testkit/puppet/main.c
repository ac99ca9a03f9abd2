/* main.c - the main program of the puppet executable, which runs in the
 * sandbox: first as the fork server, and forked from it as puppets.
 *
 *     puppet --fork-server FD --submission PATH [--log-fd N] [--debug]
 *
 * FD is one end of a SOCK_SEQPACKET socket pair; the test binary has the
 * other.  --log-fd is the descriptor of Valgrind's log, closed in puppets.
 * --debug keeps the process dumpable, for gdb.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "fork_server.h"
#include "shared/exit_status.h"
#include "shared/wire.h"

/* Puppets must not have descriptors that were inherited by mistake. */
static void close_inherited_fds(int fd, int log_fd)
{
    int low = log_fd < 0 ? fd : log_fd < fd ? log_fd : fd;
    int high = log_fd < fd ? fd : log_fd;

    close_range(3, low - 1, 0);
    if (low < high)
        close_range(low + 1, high - 1, 0);
    close_range(high + 1, ~0u, 0);
}

__attribute__((noreturn)) static void usage(void)
{
    fprintf(stderr, "usage: puppet --fork-server FD --submission PATH [--log-fd N] [--debug]\n");
    exit(STATUS_USAGE);
}

static struct fork_server read_options(int argc, char **argv, bool *debug)
{
    static const struct option options[] = {{"fork-server", required_argument, NULL, 'f'},
                                            {"submission", required_argument, NULL, 's'},
                                            {"log-fd", required_argument, NULL, 'l'},
                                            {"debug", no_argument, NULL, 'd'},
                                            {0}};
    struct fork_server settings = {.fd = -1, .log_fd = -1};
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
        switch (option) {
        case 'f':
            settings.fd = atoi(optarg);
            break;
        case 's':
            settings.submission_path = optarg;
            break;
        case 'l':
            settings.log_fd = atoi(optarg);
            break;
        case 'd':
            *debug = true;
            break;
        default:
            usage();
        }
    if (settings.fd < 0 || !settings.submission_path)
        usage();
    return settings;
}

int main(int argc, char **argv)
{
    bool debug = false;
    struct fork_server settings = read_options(argc, argv, &debug);
    int given_fd = settings.fd;

    if (!debug)
        prctl(PR_SET_DUMPABLE, 0); /* puppets share this uid, and must not read its memory */
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    settings.fd = fcntl(given_fd, F_DUPFD_CLOEXEC, OWN_FDS);
    if (settings.fd < 0) {
        fprintf(stderr, "puppet: cannot move descriptor %d: %s\n", given_fd, strerror(errno));
        return 1;
    }
    close_inherited_fds(settings.fd, settings.log_fd);
    fork_server_run(&settings);
}
