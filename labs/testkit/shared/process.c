/* process.c - a process seen from outside, through /proc (process.h).
 *
 * In an unprivileged container the grader is root without CAP_SYS_PTRACE, and
 * the kernel hides descriptors and system calls of other users' processes from
 * it.  The file-system uid decides about access, so the reader takes on the
 * owner's while it reads.
 */
#include "process.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "wire.h"

enum { MAX_PROCESSES = 16384 }; /* on the whole machine; others are ignored */

struct identity {
    uid_t uid;
    gid_t gid;
};

static struct identity take_owner_id(pid_t pid)
{
    struct identity own = {geteuid(), getegid()};
    char path[32];
    struct stat st;

    snprintf(path, sizeof path, "/proc/%d", pid);
    if (own.uid == 0 && stat(path, &st) == 0) {
        setfsgid(st.st_gid);
        setfsuid(st.st_uid);
    }
    return own;
}

static void restore_own_id(struct identity own)
{
    setfsuid(own.uid);
    setfsgid(own.gid);
}

/* Reads a small file, complete and terminated, into text; false when it cannot. */
static bool read_file(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n;

    if (fd < 0)
        return false;
    n = read(fd, text, size - 1);
    close(fd);
    if (n < 0)
        return false;
    text[n] = '\0';
    return true;
}

/* The name in /proc/PID/stat is in parentheses and may hold any byte,
 * parentheses too; the fields after it begin at the last ')'. */
#define THREADS_OF_STAT " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d %*d %d"
static bool read_stat(pid_t pid, struct process_info *info, pid_t *parent)
{
    char path[32], text[512];
    char *open_mark, *close_mark;
    int threads;

    snprintf(path, sizeof path, "/proc/%d/stat", pid);
    if (!read_file(path, text, sizeof text))
        return false;
    open_mark = strchr(text, '(');
    close_mark = strrchr(text, ')');
    if (!open_mark || !close_mark || sscanf(close_mark + 1, " %c %d", &info->state, parent) != 2)
        return false;
    /* Where only the first thread has ended, the process is no zombie. */
    if (info->state == 'Z' && sscanf(close_mark + 1, THREADS_OF_STAT, &threads) == 1 && threads > 1)
        info->state = 'S';
    *close_mark = '\0';
    info->pid = pid;
    snprintf(info->name, sizeof info->name, "%.31s", open_mark + 1);
    return true;
}

/* After a failed open() of a file in /proc/PID: whether the process is there and
 * hides it.  A zombie has nothing to show. */
static bool hides(pid_t pid)
{
    struct process_info info;
    pid_t parent;

    return (errno == EACCES || errno == EPERM) && read_stat(pid, &info, &parent) &&
           info.state != 'Z';
}

static bool is_cloexec(pid_t pid, int fd)
{
    char path[48], text[256];
    unsigned long flags;
    const char *line;

    snprintf(path, sizeof path, "/proc/%d/fdinfo/%d", pid, fd);
    if (!read_file(path, text, sizeof text) || !(line = strstr(text, "flags:")))
        return false;
    flags = strtoul(line + strlen("flags:"), NULL, 8);
    return flags & O_CLOEXEC;
}

static int by_fd(const void *a, const void *b)
{
    return ((const struct fd_info *)a)->fd - ((const struct fd_info *)b)->fd;
}

/* A puppet's socket, and its arena for forked children. */
static bool is_puppets_own(const struct fd_info *info)
{
    return info->fd == OWN_FDS ||
           (info->fd == OWN_FDS + 1 && strncmp(info->target, "/memfd:arena", 12) == 0);
}

ssize_t read_fds(pid_t pid, struct fd_info *out, size_t max)
{
    struct identity own = take_owner_id(pid);
    char path[48];
    struct dirent *entry;
    bool unreadable;
    size_t n = 0;
    DIR *dir;

    snprintf(path, sizeof path, "/proc/%d/fd", pid);
    dir = opendir(path);
    unreadable = !dir && hides(pid);
    while (dir && n < max && (entry = readdir(dir))) {
        struct fd_info *info = &out[n];
        ssize_t length;

        if (!isdigit((unsigned char)entry->d_name[0]))
            continue;
        info->fd = atoi(entry->d_name);
        if (pid == getpid() && info->fd == dirfd(dir))
            continue;
        length = readlinkat(dirfd(dir), entry->d_name, info->target, sizeof info->target - 1);
        if (length < 0)
            continue;
        info->target[length] = '\0';
        info->cloexec = is_cloexec(pid, info->fd);
        if (info->cloexec && is_puppets_own(info))
            continue; /* any other descriptor from OWN_FDS on is the submission's */
        n++;
    }
    if (dir)
        closedir(dir);
    restore_own_id(own);
    qsort(out, n, sizeof *out, by_fd);
    return unreadable ? -1 : (ssize_t)n;
}

int maps_contain(pid_t pid, const char *text)
{
    struct identity own = take_owner_id(pid);
    char path[48], line[4200];
    int found = 0;
    FILE *maps;

    snprintf(path, sizeof path, "/proc/%d/maps", pid);
    maps = fopen(path, "re");
    if (!maps && hides(pid))
        found = -1;
    while (maps && !found && fgets(line, sizeof line, maps))
        found = strstr(line, text) != NULL;
    if (maps)
        fclose(maps);
    restore_own_id(own);
    return found;
}

/* Calls `see` for every process on the machine, until it returns false. */
static void each_process(bool (*see)(const struct process_info *, pid_t parent, void *),
                         void *argument)
{
    DIR *dir = opendir("/proc");
    struct dirent *entry;

    while (dir && (entry = readdir(dir))) {
        struct process_info info;
        pid_t parent;

        if (isdigit((unsigned char)entry->d_name[0]) &&
            read_stat(atoi(entry->d_name), &info, &parent) && !see(&info, parent, argument))
            break;
    }
    if (dir)
        closedir(dir);
}

struct children {
    pid_t parent;
    struct process_info *out;
    size_t n, max;
};

static bool add_child(const struct process_info *info, pid_t parent, void *argument)
{
    struct children *children = argument;

    if (parent == children->parent)
        children->out[children->n++] = *info;
    return children->n < children->max;
}

size_t process_children(pid_t pid, struct process_info *out, size_t max)
{
    struct children children = {.parent = pid, .out = out, .max = max};

    each_process(add_child, &children);
    return children.n;
}

struct family {
    struct {
        pid_t pid, parent;
    } all[MAX_PROCESSES];
    size_t n;
};

static bool add_to_family(const struct process_info *info, pid_t parent, void *argument)
{
    struct family *family = argument;

    family->all[family->n].pid = info->pid;
    family->all[family->n].parent = parent;
    return ++family->n < MAX_PROCESSES;
}

/* Looks for children of those found so far, until there are no more. */
size_t process_descendants(pid_t root, pid_t *out, size_t max)
{
    static struct family family;
    size_t n = 0;

    family.n = 0;
    each_process(add_to_family, &family);
    for (size_t looked = 0; looked <= n; looked++) {
        pid_t parent = looked == 0 ? root : out[looked - 1];

        for (size_t i = 0; i < family.n && n < max; i++)
            if (family.all[i].parent == parent)
                out[n++] = family.all[i].pid;
    }
    return n;
}

bool process_program(pid_t pid, char *path, size_t size)
{
    struct identity own = take_owner_id(pid);
    char link[32];
    ssize_t n;

    snprintf(link, sizeof link, "/proc/%d/exe", pid);
    n = readlink(link, path, size - 1);
    restore_own_id(own);
    path[n > 0 ? n : 0] = '\0';
    return n > 0;
}

pid_t process_parent(pid_t pid)
{
    struct process_info info;
    pid_t parent;

    return read_stat(pid, &info, &parent) ? parent : 0;
}

/* System calls that sleep with a limit, and the argument that sets it. */
static const struct timed_call {
    long number;
    int argument; /* -1: always a nap */
    enum { LIMIT_POINTER, LIMIT_MS } kind;
    int count; /* argument that says how many descriptors are waited for, or -1 */
} timed_calls[] = {
#ifdef SYS_poll
    {SYS_poll, 2, LIMIT_MS, 1},
    {SYS_select, 4, LIMIT_POINTER, 0},
    {SYS_epoll_wait, 3, LIMIT_MS, -1},
    {SYS_nanosleep, -1, LIMIT_POINTER, -1},
#endif
    {SYS_clock_nanosleep, -1, LIMIT_POINTER, -1},
    {SYS_ppoll, 2, LIMIT_POINTER, 1},
    {SYS_pselect6, 4, LIMIT_POINTER, 0},
    {SYS_epoll_pwait, 3, LIMIT_MS, -1},
#ifdef SYS_epoll_pwait2
    {SYS_epoll_pwait2, 3, LIMIT_POINTER, -1},
#endif
#ifdef SYS_futex_waitv
    {SYS_futex_waitv, 3, LIMIT_POINTER, -1},
#endif
    {SYS_futex, 3, LIMIT_POINTER, -1},
    {SYS_semtimedop, 3, LIMIT_POINTER, -1},
    {SYS_rt_sigtimedwait, 2, LIMIT_POINTER, -1},
    {SYS_mq_timedsend, 4, LIMIT_POINTER, -1},
    {SYS_mq_timedreceive, 4, LIMIT_POINTER, -1},
};

/* A process that handles SIGALRM may have set an alarm. */
static bool waits_for_signal(long number)
{
#ifdef SYS_pause
    if (number == SYS_pause)
        return true;
#endif
    return number == SYS_rt_sigsuspend;
}

/* A call that is not in the table counts as sleeping without a limit; polling
 * with it still shows in the context switches. */
static void look_at_sleep(const char *task, bool catches_alarm, struct process_activity *out)
{
    char path[96], text[256];
    unsigned long long a[6];
    long number;
    bool seen;

    snprintf(path, sizeof path, "%s/syscall", task);
    seen = read_file(path, text, sizeof text);
    if (seen && strncmp(text, "running", 7) == 0) { /* it woke after its state was read */
        out->asleep = false;
        out->runnable = true;
        return;
    }
    if (!seen || sscanf(text, "%ld %llx %llx %llx %llx %llx %llx", &number, &a[0], &a[1], &a[2],
                        &a[3], &a[4], &a[5]) != 7) {
        out->in_unknown_sleep = true;
        return;
    }
    out->in_timed_sleep |= catches_alarm && waits_for_signal(number);
    for (size_t i = 0; i < sizeof timed_calls / sizeof *timed_calls; i++) {
        const struct timed_call *call = &timed_calls[i];
        bool limited;

        if (call->number != number)
            continue;
        limited = call->argument < 0 || (call->kind == LIMIT_POINTER ? a[call->argument] != 0
                                                                     : (int)a[call->argument] >= 0);
        out->in_timed_sleep |= limited;
        out->in_nap |= limited && (call->argument < 0 || (call->count >= 0 && a[call->count] == 0));
    }
}

bool process_is_observable(pid_t pid)
{
    struct identity own = take_owner_id(pid);
    char path[48], text[256];
    bool readable;

    snprintf(path, sizeof path, "/proc/%d/syscall", pid);
    readable = read_file(path, text, sizeof text);
    restore_own_id(own);
    return readable;
}

/* Whether a descriptor is a timer that is armed (timerfd_create(2)). */
static bool is_armed_timer(const char *fdinfo)
{
    char text[1024];
    const char *value;
    unsigned long long seconds, nanoseconds;

    if (!read_file(fdinfo, text, sizeof text) || !(value = strstr(text, "\nit_value: (")))
        return false;
    return sscanf(value, "\nit_value: (%llu, %llu)", &seconds, &nanoseconds) == 2 &&
           (seconds != 0 || nanoseconds != 0);
}

/* A process that sleeps while such a timer is armed may be woken by it. */
static bool has_armed_timer(pid_t pid)
{
    char path[64];
    struct dirent *entry;
    bool found = false;
    DIR *dir;

    snprintf(path, sizeof path, "/proc/%d/fdinfo", pid);
    dir = opendir(path);
    while (dir && !found && (entry = readdir(dir))) {
        char file[96];

        snprintf(file, sizeof file, "%s/%.24s", path, entry->d_name);
        found = is_armed_timer(file);
    }
    if (dir)
        closedir(dir);
    return found;
}

/* Whether a process handles SIGALRM, by its /proc/PID/status. */
static bool catches_alarm(const char *status)
{
    const char *line = strstr(status, "\nSigCgt:\t");
    unsigned long long caught;

    return line && sscanf(line, "\nSigCgt: %llx", &caught) == 1 && caught >> (SIGALRM - 1) & 1;
}

static bool add_task(const char *task, struct process_activity *out)
{
    char path[96], text[8192];
    unsigned long long cpu_ns = 0, switches = 0;
    const char *line;
    char state;

    snprintf(path, sizeof path, "%s/schedstat", task);
    if (!read_file(path, text, sizeof text) || sscanf(text, "%llu", &cpu_ns) != 1)
        return false;
    snprintf(path, sizeof path, "%s/status", task);
    if (!read_file(path, text, sizeof text))
        return false;
    line = strstr(text, "\nState:\t");
    if (!line)
        return false;
    state = line[strlen("\nState:\t")];
    out->asleep &= state == 'S';
    out->runnable |= state == 'R' || state == 'D';
    line = strstr(text, "\nvoluntary_ctxt_switches:");
    if (!line || sscanf(line, "\nvoluntary_ctxt_switches: %llu", &switches) != 1)
        return false;
    out->cpu_ns += cpu_ns;
    out->switches += switches;
    if (state == 'S')
        look_at_sleep(task, catches_alarm(text), out);
    return true;
}

bool process_activity(pid_t pid, struct process_activity *out)
{
    struct identity own;
    char path[48];
    struct dirent *entry;
    bool any = false;
    DIR *dir;

    *out = (struct process_activity){.asleep = true};
    snprintf(path, sizeof path, "/proc/%d/task", pid);
    dir = opendir(path);
    if (!dir)
        return false;
    own = take_owner_id(pid);
    while ((entry = readdir(dir))) {
        char task[80];

        if (!isdigit((unsigned char)entry->d_name[0]))
            continue;
        snprintf(task, sizeof task, "%s/%.24s", path, entry->d_name);
        any |= add_task(task, out);
    }
    out->in_timed_sleep |= out->asleep && has_armed_timer(pid);
    restore_own_id(own);
    closedir(dir);
    return any;
}
