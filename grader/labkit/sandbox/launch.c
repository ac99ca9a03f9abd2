/* launch.c - starts the first process of a sandbox: gives up what the sandbox
 * must not have, then executes the program.  Partner: launcher.py, which
 * compiles it and writes its command lines.
 *
 *     launch --filter FD|none [OPTION...] -- PROGRAM [ARGUMENT...]
 *
 *     --filter FD        install the system-call filter that is read from FD
 *     --limit NAME=N     set a resource limit, at most to the present hard limit
 *     --first-to-die     when memory runs out, kill these processes first
 *     --uid N --gid N    become this user, without other groups or capabilities
 *     --tmp DIR          create DIR for this user alone; it may write there
 *     --chdir DIR        execute PROGRAM in DIR
 *     --may-read PATH    with any of these: Landlock refuses all other files
 *     --may-write PATH
 *     --probe            fail now if what a submission may need cannot be had
 *     --keep FD          leave FD open; the others are closed, but 0, 1 and 2
 *     --report FD        write the error here, not to standard error
 *
 * Exit status: that of PROGRAM, or LACKING if the machine has too little of a
 * resource at the moment, or REFUSED for any other error.  If any step fails,
 * PROGRAM is not executed.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <grp.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <mqueue.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

enum { LACKING = 75, REFUSED = 125 };
enum { MAX_PATHS = 64, MAX_KEPT = 16, MAX_INSTRUCTIONS = 4096, NEEDED_BYTES = 4 << 20 };

struct paths {
    const char *path[MAX_PATHS];
    size_t n;
};

static struct {
    const char *filter;
    const char *tmp;
    const char *directory;
    struct paths readable, writable;
    long uid, gid; /* -1: unchanged */
    int kept[MAX_KEPT];
    size_t nkept;
    bool probe;
} wanted = {.uid = -1, .gid = -1};

static int report_fd = STDERR_FILENO;

/* ---- errors --------------------------------------------------------------- */

static bool is_lack(int error)
{
    static const int lacks[] = {EAGAIN, ENOMEM, ENOSPC, EDQUOT, EMFILE, ENFILE};

    for (size_t i = 0; i < sizeof lacks / sizeof *lacks; i++)
        if (error == lacks[i])
            return true;
    return false;
}

/* Ends with a message that has strerror(error), or without it if error is 0. */
__attribute__((noreturn, format(printf, 2, 3))) static void die(int error, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    vdprintf(report_fd, format, arguments);
    va_end(arguments);
    dprintf(report_fd, "%s%s\n", error ? ": " : "", error ? strerror(error) : "");
    exit(is_lack(error) ? LACKING : REFUSED);
}

static long number(const char *text)
{
    char *end;
    long value = strtol(text, &end, 10);

    if (*text == '\0' || *end != '\0' || value < 0)
        die(0, "launch: %s is not a number", text);
    return value;
}

/* ---- limits and identity ---------------------------------------------------- */

static void set_limit(const char *assignment)
{
    static const struct {
        const char *name;
        int resource;
    } known[] = {{"as", RLIMIT_AS},       {"core", RLIMIT_CORE},         {"cpu", RLIMIT_CPU},
                 {"fsize", RLIMIT_FSIZE}, {"msgqueue", RLIMIT_MSGQUEUE}, {"nofile", RLIMIT_NOFILE},
                 {"nproc", RLIMIT_NPROC}};
    size_t length = strcspn(assignment, "=");
    struct rlimit limit;

    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        rlim_t value, hard;

        if (strlen(known[i].name) != length || strncmp(known[i].name, assignment, length) != 0)
            continue;
        value = number(assignment + length + (assignment[length] == '='));
        getrlimit(known[i].resource, &limit);
        /* SIGXCPU, at the soft limit, names the reason; SIGKILL comes after it. */
        hard = known[i].resource == RLIMIT_CPU ? value + 1 : value;
        limit.rlim_max = hard < limit.rlim_max ? hard : limit.rlim_max;
        limit.rlim_cur = value < limit.rlim_max ? value : limit.rlim_max;
        if (setrlimit(known[i].resource, &limit) < 0)
            die(errno, "the limit %s cannot be set", assignment);
        return;
    }
    die(0, "launch: %s is not a limit", assignment);
}

static void be_first_to_die(void)
{
    int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

    if (fd < 0 || write(fd, "1000", 4) != 4)
        die(errno, "/proc/self/oom_score_adj cannot be written");
    close(fd);
}

static void drop_privileges(void)
{
    struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
    struct __user_cap_data_struct none[_LINUX_CAPABILITY_U32S_3] = {{0}};

    if (setgroups(0, NULL) < 0 || setresgid(wanted.gid, wanted.gid, wanted.gid) < 0 ||
        setresuid(wanted.uid, wanted.uid, wanted.uid) < 0)
        die(errno, "cannot change to uid %ld and group %ld", wanted.uid, wanted.gid);
    if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 ||
        syscall(SYS_capset, &header, none) < 0)
        die(errno, "the capabilities cannot be dropped");
}

/* ---- Landlock ----------------------------------------------------------------
 * The definitions are here because linux/landlock.h of an older system lacks
 * some that its kernel has.
 */

enum {
    FS_EXECUTE = 1 << 0,
    FS_WRITE_FILE = 1 << 1,
    FS_READ_FILE = 1 << 2,
    FS_READ_DIR = 1 << 3,
    FS_TRUNCATE = 1 << 14,
    FS_IOCTL_DEV = 1 << 15,
    FS_OF_FILES = FS_EXECUTE | FS_WRITE_FILE | FS_READ_FILE | FS_TRUNCATE | FS_IOCTL_DEV,
    FS_READ = FS_EXECUTE | FS_READ_FILE | FS_READ_DIR,
};
enum { SCOPE_ABSTRACT_SOCKETS = 1 << 0, SCOPE_SIGNALS = 1 << 1 };
enum { VERSION_FLAG = 1, RULE_PATH_BENEATH = 1 };

struct ruleset {
    uint64_t fs, net, scoped;
};

struct rule {
    uint64_t allowed;
    int32_t parent;
} __attribute__((packed));

/* All rights on files that an ABI of Landlock knows. */
static uint64_t fs_rights(int abi)
{
    if (abi >= 5)
        return (1 << 16) - 1;
    if (abi >= 3)
        return (1 << 15) - 1;
    return abi == 2 ? (1 << 14) - 1 : (1 << 13) - 1;
}

static void allow(int ruleset, const char *path, uint64_t rights)
{
    struct rule rule = {.allowed = rights, .parent = open(path, O_PATH | O_CLOEXEC)};
    struct stat st;

    if (rule.parent < 0 || fstat(rule.parent, &st) < 0)
        die(errno, "%s", path);
    if (!S_ISDIR(st.st_mode))
        rule.allowed &= FS_OF_FILES;
    if (syscall(SYS_landlock_add_rule, ruleset, RULE_PATH_BENEATH, &rule, 0) < 0)
        die(errno, "Landlock accepts no rule for %s", path);
    close(rule.parent);
}

static void restrict_files(void)
{
    int abi = syscall(SYS_landlock_create_ruleset, NULL, 0, VERSION_FLAG);
    struct ruleset attributes = {.fs = fs_rights(abi),
                                 .scoped = SCOPE_ABSTRACT_SOCKETS | SCOPE_SIGNALS};
    size_t size = abi >= 6 ? sizeof attributes : offsetof(struct ruleset, net);
    int ruleset;

    if (abi < 1)
        die(errno, "Landlock is not available");
    ruleset = syscall(SYS_landlock_create_ruleset, &attributes, size, 0);
    if (ruleset < 0)
        die(errno, "Landlock accepts no rules");
    for (size_t i = 0; i < wanted.readable.n; i++)
        allow(ruleset, wanted.readable.path[i], FS_READ);
    for (size_t i = 0; i < wanted.writable.n; i++)
        allow(ruleset, wanted.writable.path[i], fs_rights(abi));
    if (syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
        die(errno, "Landlock cannot be applied");
    close(ruleset);
}

/* ---- the system-call filter --------------------------------------------------- */

static void install_filter(const char *from)
{
    static struct sock_filter instructions[MAX_INSTRUCTIONS];
    struct sock_fprog program = {.filter = instructions};
    size_t bytes = 0;
    int fd = number(from);
    ssize_t n;

    while ((n = read(fd, (char *)instructions + bytes, sizeof instructions - bytes)) > 0)
        bytes += n;
    if (n < 0)
        die(errno, "the system-call filter cannot be read");
    program.len = bytes / sizeof *instructions;
    if (bytes == 0 || bytes == sizeof instructions || bytes % sizeof *instructions != 0)
        die(0, "the system-call filter has %zu bytes, which cannot be right", bytes);
    if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
        die(errno, "the system-call filter cannot be installed");
}

/* ---- the probe ------------------------------------------------------------------
 * What is lacking now is the grader's problem.  What is lacking afterwards is
 * the submission's.
 */

static void probe_fork(void)
{
    pid_t pid = fork();

    if (pid == 0)
        _exit(0);
    if (pid < 0 || waitpid(pid, NULL, 0) < 0)
        die(errno, "no process can be created");
}

static void probe_space(const char *directory)
{
    struct statvfs fs;
    int fd = open(directory, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

    if (fd < 0)
        die(errno, "no file can be created in %s", directory);
    if (fstatvfs(fd, &fs) < 0)
        die(errno, "%s", directory);
    if (fs.f_blocks > 0 && fs.f_bavail * fs.f_frsize < NEEDED_BYTES)
        die(ENOSPC, "less than %d MiB are free in %s", NEEDED_BYTES >> 20, directory);
    close(fd);
}

static void probe_system_v(void)
{
    int shm = shmget(IPC_PRIVATE, 4096, 0600);
    int sem = semget(IPC_PRIVATE, 1, 0600);
    int msg = msgget(IPC_PRIVATE, 0600);
    int error = errno;

    if (shm >= 0)
        shmctl(shm, IPC_RMID, NULL);
    if (sem >= 0)
        semctl(sem, 0, IPC_RMID);
    if (msg >= 0)
        msgctl(msg, IPC_RMID, NULL);
    if (shm < 0 || sem < 0 || msg < 0)
        die(error, "no System V %s can be created",
            shm < 0   ? "shared memory"
            : sem < 0 ? "semaphore"
                      : "message queue");
}

static void probe_message_queue(void)
{
    struct mq_attr smallest = {.mq_maxmsg = 1, .mq_msgsize = 64};
    char name[64];
    mqd_t queue;

    snprintf(name, sizeof name, "/labkit-probe-%ld-%d", wanted.uid, (int)getpid());
    queue = mq_open(name, O_RDWR | O_CREAT | O_EXCL, 0600, &smallest);
    if (queue < 0)
        die(errno, "no POSIX message queue can be created");
    mq_close(queue);
    mq_unlink(name);
}

static void probe(void)
{
    probe_fork();
    probe_space(wanted.tmp ? wanted.tmp : "/tmp");
    probe_space("/dev/shm");
    probe_system_v();
    probe_message_queue();
}

/* ---- the command line -------------------------------------------------------------- */

static void add_path(struct paths *paths, const char *path)
{
    if (paths->n == MAX_PATHS)
        die(0, "launch: more than %d paths", MAX_PATHS);
    paths->path[paths->n++] = path;
}

static void keep(int fd)
{
    if (wanted.nkept == MAX_KEPT)
        die(0, "launch: more than %d descriptors", MAX_KEPT);
    wanted.kept[wanted.nkept++] = fd;
}

static void read_options(int argc, char **argv)
{
    enum { FILTER = 1, LIMIT, OOM, USER, GROUP, TMP, CHDIR, READ, WRITE, PROBE, KEEP, REPORT };
    static const struct option options[] = {{"filter", required_argument, NULL, FILTER},
                                            {"limit", required_argument, NULL, LIMIT},
                                            {"first-to-die", no_argument, NULL, OOM},
                                            {"uid", required_argument, NULL, USER},
                                            {"gid", required_argument, NULL, GROUP},
                                            {"tmp", required_argument, NULL, TMP},
                                            {"chdir", required_argument, NULL, CHDIR},
                                            {"may-read", required_argument, NULL, READ},
                                            {"may-write", required_argument, NULL, WRITE},
                                            {"probe", no_argument, NULL, PROBE},
                                            {"keep", required_argument, NULL, KEEP},
                                            {"report", required_argument, NULL, REPORT},
                                            {0}};
    int option;

    while ((option = getopt_long(argc, argv, "+", options, NULL)) != -1)
        switch (option) {
        case FILTER:
            wanted.filter = optarg;
            break;
        case LIMIT:
            set_limit(optarg);
            break;
        case OOM:
            be_first_to_die();
            break;
        case USER:
            wanted.uid = number(optarg);
            break;
        case GROUP:
            wanted.gid = number(optarg);
            break;
        case TMP:
            wanted.tmp = optarg;
            add_path(&wanted.writable, optarg);
            break;
        case CHDIR:
            wanted.directory = optarg;
            break;
        case READ:
            add_path(&wanted.readable, optarg);
            break;
        case WRITE:
            add_path(&wanted.writable, optarg);
            break;
        case PROBE:
            wanted.probe = true;
            break;
        case KEEP:
            keep(number(optarg));
            break;
        case REPORT:
            report_fd = number(optarg);
            break;
        default:
            exit(REFUSED);
        }
    if (!wanted.filter || optind == argc || (wanted.uid < 0) != (wanted.gid < 0))
        die(0, "launch: --filter, --uid with --gid, and a program are needed");
}

int main(int argc, char **argv)
{
    read_options(argc, argv);
    if (wanted.uid >= 0)
        drop_privileges();
    if (wanted.tmp && mkdir(wanted.tmp, 0700) < 0)
        die(errno, "%s cannot be created", wanted.tmp);
    if (wanted.directory && chdir(wanted.directory) < 0)
        die(errno, "%s", wanted.directory);
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
        die(errno, "no_new_privs cannot be set");
    if (wanted.readable.n > 0)
        restrict_files();
    if (strcmp(wanted.filter, "none") != 0)
        install_filter(wanted.filter);
    if (wanted.probe)
        probe();
    close_range(3, ~0u, CLOSE_RANGE_CLOEXEC);
    for (size_t i = 0; i < wanted.nkept; i++)
        fcntl(wanted.kept[i], F_SETFD, 0);
    execvp(argv[optind], argv + optind);
    die(errno, "%s cannot be executed", argv[optind]);
}
