/* process.h - a process seen from outside, through /proc (process.c).  For the
 * fork server and for tests; the process need not cooperate.
 */
#ifndef PROCESS_H
#define PROCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct fd_info {
    int fd;
    char target[120]; /* as /proc/PID/fd shows it: "pipe:[4711]" */
    bool cloexec;
};
/* The open descriptors of a process in ascending order, without those of the
 * kit; at most max are stored.  Returns their number, 0 when the process is
 * gone, -1 when it cannot be read. */
ssize_t read_fds(pid_t pid, struct fd_info *out, size_t max);

/* Whether the name of a mapping of a process contains this text: 1 or 0, -1 when
 * it cannot be read.  0 also when the process is gone. */
int maps_contain(pid_t pid, const char *text);

struct process_info {
    pid_t pid;
    char state; /* R S D Z T ... */
    char name[32];
};
/* The children of a process, zombies (state Z) included; at most max are
 * stored.  Returns their number. */
size_t process_children(pid_t pid, struct process_info *out, size_t max);

/* The descendants of a process in no particular order; at most max are stored.
 * Returns their number. */
size_t process_descendants(pid_t root, pid_t *out, size_t max);

/* The program that a process executes, as /proc/PID/exe shows it; false when it
 * cannot be read, or the process has ended. */
bool process_program(pid_t pid, char *path, size_t size);

/* The parent of a process, 0 when it is gone. */
pid_t process_parent(pid_t pid);

/* What all threads of a process did so far, and their state now. */
struct process_activity {
    uint64_t cpu_ns;
    uint64_t switches;     /* voluntary context switches */
    bool asleep;           /* every thread is in state S */
    bool runnable;         /* a thread is running or ready to run */
    bool in_nap;           /* a thread is in nanosleep, or polls nothing */
    bool in_timed_sleep;   /* a thread sleeps with a time limit, or a timerfd is armed */
    bool in_unknown_sleep; /* a thread sleeps, and its system call is hidden */
};
/* Whether the system calls of a process that exists can be read. */
bool process_is_observable(pid_t pid);
/* False when the process is gone. */
bool process_activity(pid_t pid, struct process_activity *out);

#endif
