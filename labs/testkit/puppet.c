/* puppet.c - the process that runs student code, and the stage it comes from.
 *
 *     puppet --stage FD --submission PATH [--log-fd N] [--debug]
 *
 * Theory of operation.  The executable starts as the stage: the first process
 * of a box, which never loads student code.  At the other end of FD sits the
 * test process (remote.c).  On FRAME_START the stage makes a socket pair,
 * forks a puppet that keeps one end, and passes the other end back.  The
 * puppet maps the arena, says hello, loads the submission and then answers
 * frames until it is ended.  It decides nothing: whatever student code does
 * to this process, the test only ever sees frames, and checks each.
 *
 * Partners: remote.c (the other end), faults.c (the libc calls on the way),
 * wire.h (what both agree on).
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <poll.h>
#include <link.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <valgrind/memcheck.h>

#include "channel.h"
#include "faults.h"
#include "process.h"
#include "wire.h"

static const char *submission_path;
static int log_fd = -1;

/* ---- the puppet --------------------------------------------------------- */

static int test_fd;
static int arena_fd = -1;
static pid_t self;
static struct slot *slot;

static void send_or_leave(int kind, const struct frame *question, uint64_t value, int error,
                          const char *text)
{
    struct frame answer = {
        .kind = kind, .error = error, .nonce = question->nonce, .words = {value}};

    if (text)
        snprintf(answer.text, sizeof answer.text, "%s", text);
    if (channel_send(test_fd, &answer, -1) < 0)
        _exit(0); /* the test is gone, and nobody else is interested */
}

/* A fault in a trap page stops the puppet where it stands, with every lock
 * held, until the test kills it or lets it go on.  Any other fault ends it as
 * it would have ended without this handler. */
static void on_segv(int signal, siginfo_t *info, void *context)
{
    uintptr_t at = (uintptr_t)info->si_addr - (uintptr_t)ARENA_ADDRESS;
    unsigned n = atomic_load(&CONTROL->nmarks);

    (void)context;
    for (unsigned i = 0; i < n && i < MAX_MARKS; i++) {
        const struct mark *mark = &CONTROL->marks[i];

        if (mark->kind != MARK_TRAP || at < mark->at || at - mark->at >= mark->bytes)
            continue;
        stand_still(&slot->trapped, NULL);
        mprotect(ARENA_ADDRESS + mark->at, mark->bytes, PROT_READ | PROT_WRITE);
        return;
    }
    struct sigaction fatal = {.sa_handler = SIG_DFL};
    sigaction(signal, &fatal, NULL);
}

static void catch_traps(void)
{
    static char stack[65536];
    stack_t alternate = {.ss_sp = stack, .ss_size = sizeof stack};
    struct sigaction action = {.sa_sigaction = on_segv, .sa_flags = SA_SIGINFO | SA_ONSTACK};

    sigfillset(&action.sa_mask);
    sigdelset(&action.sa_mask, SIGSEGV);
    sigaltstack(&alternate, NULL);
    sigaction(SIGSEGV, &action, NULL);
}

static void heed_marks(void)
{
    static unsigned heeded;
    unsigned n = atomic_load(&CONTROL->nmarks);

    for (; heeded < n && heeded < MAX_MARKS; heeded++) {
        const struct mark mark = CONTROL->marks[heeded];
        char *at = ARENA_ADDRESS + mark.at;

        if (mark.kind == MARK_TRAP)
            mprotect(at, mark.bytes, PROT_NONE);
        else if (mark.kind == MARK_UNDEFINED)
            (void)VALGRIND_MAKE_MEM_UNDEFINED(at, mark.bytes);
        else
            (void)VALGRIND_MAKE_MEM_DEFINED(at, mark.bytes);
    }
}

/* Says where the code lies: what a stack calls its file, a #line can change. */
static int report_place(struct dl_phdr_info *info, size_t size, void *map)
{
    (void)size;
    if (info->dlpi_addr != ((struct link_map *)map)->l_addr)
        return 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        unsigned long at = info->dlpi_addr + part->p_vaddr;

        if (part->p_type == PT_LOAD && part->p_flags & PF_X)
            (void)VALGRIND_PRINTF("submission at %lx to %lx\n", at, at + part->p_memsz);
    }
    return 1;
}

/* The submission is loaded at the first call and not before, so that a puppet
 * may also become another program (FRAME_EXEC) without it. */
static void *submission(void)
{
    static void *library;
    struct link_map *map;

    if (!library) {
        (void)VALGRIND_PRINTF("submission loaded\n"); /* a report has to follow */
        library = dlopen(submission_path, RTLD_NOW | RTLD_LOCAL);
        if (library && dlinfo(library, RTLD_DI_LINKMAP, &map) == 0)
            dl_iterate_phdr(report_place, map);
    }
    return library;
}

/* Every argument is an integer or a pointer, which the calling conventions of
 * the 64-bit Unix systems pass in registers of their own; a function that
 * takes fewer never looks at the rest. */
typedef uint64_t function_of_words(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);

static uint64_t invoke(function_of_words *function, const uint64_t w[], int *error)
{
    uint64_t value;

    errno = 0;
    faults_arm(slot);
    value = function(w[0], w[1], w[2], w[3], w[4], w[5]);
    faults_disarm();
    *error = errno;
    return value;
}

static function_of_words *find(const char *name, const struct frame *question)
{
    static char known_name[FRAME_TEXT_BYTES];
    static function_of_words *known;
    char why[FRAME_TEXT_BYTES];

    if (known && strcmp(name, known_name) == 0)
        return known;
    if (!submission()) {
        send_or_leave(FRAME_REFUSED, question, 0, 0, dlerror());
        return NULL;
    }
    known = (function_of_words *)dlsym(submission(), name);
    if (!known) {
        snprintf(why, sizeof why, "the submission does not define %.60s()", name);
        send_or_leave(FRAME_REFUSED, question, 0, 0, why);
        return NULL;
    }
    snprintf(known_name, sizeof known_name, "%s", name);
    return known;
}

/* fork() inside the function returns twice; the child must not come back to
 * read the socket.  It says so and is gone. */
static void leave_if_child(const struct frame *question)
{
    if (getpid() == self)
        return;
    send_or_leave(FRAME_CHILD_RETURNED, question, 0, 0, NULL);
    _exit(0);
}

static void call(const struct frame *question)
{
    function_of_words *function = find(question->text, question);
    uint64_t value;
    int error;

    if (!function)
        return;
    value = invoke(function, question->words, &error);
    leave_if_child(question);
    send_or_leave(FRAME_RETURNED, question, value, error, NULL);
}

static uint64_t argument(uint64_t word, const struct script_call calls[], uint64_t done)
{
    uint64_t index = word & ~SCRIPT_VALUE_MASK;

    if ((word & SCRIPT_VALUE_MASK) != SCRIPT_VALUE_TAG || index >= done)
        return word;
    return calls[index].value;
}

static void run_script(const struct frame *question)
{
    struct script_call *calls = (struct script_call *)question->words[0];
    uint64_t count = question->words[1];

    for (uint64_t i = 0; i < count; i++) {
        function_of_words *function = find(calls[i].function, question);
        uint64_t words[FRAME_WORDS];

        if (!function)
            return;
        for (int k = 0; k < FRAME_WORDS; k++)
            words[k] = argument(calls[i].words[k], calls, i);
        calls[i].value = invoke(function, words, &calls[i].error);
        leave_if_child(question);
        calls[i].done = 1;
    }
    send_or_leave(FRAME_RETURNED, question, count, 0, NULL);
}

static void take_fd(const struct frame *question, int fd)
{
    int number = question->words[0];

    if (fd == number)
        fcntl(fd, F_SETFD, 0);
    else if (dup2(fd, number) < 0 || close(fd) < 0)
        _exit(1);
    send_or_leave(FRAME_RETURNED, question, 0, 0, NULL);
}

static void become(const struct frame *question)
{
    char *const *argv = (char *const *)question->words[0];
    char why[FRAME_TEXT_BYTES];

    signal(SIGSEGV, SIG_DFL);
    execv(argv[0], argv);
    snprintf(why, sizeof why, "cannot execute %.60s: %s", argv[0], strerror(errno));
    send_or_leave(FRAME_REFUSED, question, 0, errno, why);
}

static void obey(void)
{
    for (;;) {
        struct frame question;
        int fd;

        if (channel_receive(test_fd, &question, &fd) <= 0)
            _exit(0);
        heed_marks();
        switch (question.kind) {
        case FRAME_CALL:
            call(&question);
            break;
        case FRAME_SCRIPT:
            run_script(&question);
            break;
        case FRAME_GIVE_FD:
            take_fd(&question, fd);
            break;
        case FRAME_CLOSE_FD:
            close(question.words[0]);
            send_or_leave(FRAME_RETURNED, &question, 0, 0, NULL);
            break;
        case FRAME_EXEC:
            become(&question);
            break;
        default:
            _exit(0);
        }
    }
}

/* In a forked child.  A program's memory is its own after fork(), and what the
 * test allocated stands for the caller's variables: `status[i] = fork()` must
 * not write the child's 0 where the parent reads.  The control page is not the
 * program's and stays shared: a child's calls are counted and made to fail. */
static void keep_memory_to_itself(void)
{
    if (arena_fd < 0)
        return; /* the child of a child: it is private already */
    syscall(SYS_mmap, ARENA_ADDRESS + sizeof(struct control), ARENA_BYTES - sizeof(struct control),
            PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, arena_fd, sizeof(struct control));
    syscall(SYS_close, arena_fd);
    arena_fd = -1;
}

static void be_puppet(const struct frame *start, int given_fd)
{
    char *arena;

    self = getpid();
    if (log_fd >= 0) /* now: what a test sees open before a call is open after it */
        close(log_fd);
    prctl(PR_SET_DUMPABLE, 1); /* student code may look at itself, as anywhere */
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    prctl(PR_SET_NAME, "puppet");
    if ((int64_t)start->words[1] >= 0) {
        cpu_set_t cpus;

        CPU_ZERO(&cpus);
        CPU_SET(start->words[1], &cpus);
        sched_setaffinity(0, sizeof cpus, &cpus);
    }
    arena = mmap(ARENA_ADDRESS, ARENA_BYTES, PROT_READ | PROT_WRITE,
                 MAP_SHARED | MAP_FIXED_NOREPLACE, given_fd, 0);
    arena_fd = fcntl(given_fd, F_DUPFD_CLOEXEC, OWN_FDS);
    close(given_fd);
    if (arena != ARENA_ADDRESS || arena_fd < 0 ||
        pthread_atfork(NULL, NULL, keep_memory_to_itself) != 0)
        _exit(1);
    slot = &CONTROL->slots[start->words[0]];
    (void)VALGRIND_MAKE_MEM_NOACCESS(arena + sizeof(struct control),
                                     ARENA_BYTES - sizeof(struct control));
    catch_traps();
    send_or_leave(FRAME_HELLO, start, 0, 0, NULL);
    obey();
}

/* ---- the stage ---------------------------------------------------------- */

enum { WAIT_MS = 10000 };

static int stage_fd;

/* The puppets that have not been waited for: by number, as a process that a
 * submission left behind may bear any name. */
static pid_t puppets[4 * MAX_PUPPETS];
static size_t npuppets;

static void remember(pid_t pid)
{
    puppets[npuppets++ % (sizeof puppets / sizeof *puppets)] = pid;
}

static pid_t *find_puppet(pid_t pid)
{
    for (size_t i = 0; i < sizeof puppets / sizeof *puppets; i++)
        if (puppets[i] == pid)
            return &puppets[i];
    return NULL;
}

static void forget(pid_t pid)
{
    pid_t *known = find_puppet(pid);

    if (known)
        *known = 0;
}

static void answer(int kind, const struct frame *question, uint64_t value, int error, int fd)
{
    struct frame frame = {.kind = kind, .error = error, .nonce = question->nonce, .words = {value}};

    channel_send(stage_fd, &frame, fd);
}

static void start_puppet(const struct frame *question, int arena_fd)
{
    int ends[2] = {-1, -1};
    int on = 1;
    pid_t pid = -1;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) == 0 &&
        setsockopt(ends[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof on) == 0)
        pid = fork();
    if (pid == 0) {
        close(stage_fd);
        close(ends[0]);
        test_fd = fcntl(ends[1], F_DUPFD_CLOEXEC, OWN_FDS);
        close(ends[1]);
        if (test_fd < 0)
            _exit(1);
        be_puppet(question, arena_fd);
    }
    if (pid > 0) {
        remember(pid);
        answer(FRAME_STARTED, question, pid, 0, ends[0]);
    } else
        answer(FRAME_FAILED, question, 0, errno, -1);
    if (ends[0] >= 0) {
        close(ends[0]);
        close(ends[1]);
    }
}

/* Waits for a puppet that is dead, or about to be.  One that a process of its
 * own traces is dead and cannot be waited for: that must not hold up the box. */
static pid_t wait_a_while(pid_t pid, int *status)
{
    struct pollfd end = {.fd = syscall(SYS_pidfd_open, pid, 0), .events = POLLIN};
    pid_t waited;

    if (end.fd < 0)
        return waitpid(pid, status, 0);
    poll(&end, 1, WAIT_MS);
    close(end.fd);
    waited = waitpid(pid, status, WNOHANG);
    if (waited == 0)
        errno = ECHILD;
    return waited;
}

static void wait_for(const struct frame *question)
{
    pid_t pid = question->words[0];
    int status;

    if (wait_a_while(pid, &status) != pid) {
        answer(FRAME_FAILED, question, 0, errno, -1);
        return;
    }
    forget(pid);
    answer(FRAME_WAITED, question, status, 0, -1);
    if (WIFEXITED(status))
        (void)VALGRIND_PRINTF("puppet %d ended\n", pid);
}

/* Ends everything that descends from the stage: orphans come to it, for it is
 * process 1 of its box or their subreaper.  All are killed before any is
 * waited for, since one may trace another. */
static void sweep(void)
{
    struct process_info children[64];
    size_t n;

    while ((n = process_children(self, children, 64)) > 0) {
        pid_t pid;

        if (self == 1)
            kill(-1, SIGKILL);
        for (size_t i = 0; i < n; i++)
            kill(children[i].pid, SIGKILL);
        for (pid = waitpid(-1, NULL, 0); pid > 0; pid = waitpid(-1, NULL, WNOHANG))
            forget(pid);
    }
}

static void add_line(char *text, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add_line(char *text, const char *format, ...)
{
    size_t used = strlen(text);
    va_list args;

    va_start(args, format);
    vsnprintf(text + used, OBJECTS_BYTES - used, format, args);
    va_end(args);
}

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static void add_files(char *text, const char *folder, const char *kind)
{
    DIR *dir = opendir(folder);
    struct dirent *entry;

    while (dir && (entry = readdir(dir))) {
        struct stat st;

        if (!is_dots(entry->d_name) &&
            fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            st.st_uid == geteuid())
            add_line(text, "%s /%.200s\n", kind, entry->d_name);
    }
    if (dir)
        closedir(dir);
}

/* /proc/sysvipc/KIND: key, id, perms and then, in another column for each
 * kind, the uid that made the object (its owner can be changed). */
static void add_system_v(char *text, const char *file, const char *kind, const char *uid_format)
{
    FILE *table = fopen(file, "re");
    char line[512];

    while (table && fgets(line, sizeof line, table)) {
        int key, id;
        unsigned uid;

        if (sscanf(line, uid_format, &key, &id, &uid) == 3 && uid == geteuid())
            add_line(text, "%s, id %d, key 0x%08x\n", kind, id, (unsigned)key);
    }
    if (table)
        fclose(table);
}

static void list_objects(void)
{
    char text[OBJECTS_BYTES] = "";
    struct process_info children[64];
    size_t n = process_children(self, children, 64);

    add_files(text, "/dev/shm", "POSIX shared memory or semaphore");
    add_files(text, "/dev/mqueue", "POSIX message queue");
    add_system_v(text, "/proc/sysvipc/shm", "System V shared memory",
                 "%d %d %*o %*u %*d %*d %*u %*u %*u %u");
    add_system_v(text, "/proc/sysvipc/sem", "System V semaphores", "%d %d %*o %*u %*u %*u %u");
    add_system_v(text, "/proc/sysvipc/msg", "System V message queue",
                 "%d %d %*o %*u %*u %*d %*d %*u %*u %u");
    for (size_t i = 0; i < n && i < 64; i++)
        if (children[i].state != 'Z' && !find_puppet(children[i].pid))
            add_line(text, "process %s, pid %d\n", children[i].name, children[i].pid);
    send(stage_fd, text, strlen(text) + 1, MSG_NOSIGNAL);
}

static void serve(void)
{
    for (;;) {
        struct frame question;
        int fd;

        if (channel_receive(stage_fd, &question, &fd) <= 0) {
            sweep();
            _exit(0);
        }
        switch (question.kind) {
        case FRAME_START:
            start_puppet(&question, fd);
            break;
        case FRAME_WAIT:
            wait_for(&question);
            break;
        case FRAME_OBJECTS:
            list_objects();
            break;
        case FRAME_SWEEP:
            sweep();
            answer(FRAME_SWEPT, &question, 0, 0, -1);
            break;
        }
        if (fd >= 0)
            close(fd);
    }
}

/* Nothing that somebody else left open may reach a puppet. */
static void close_strangers(void)
{
    int low = log_fd < 0 ? stage_fd : log_fd < stage_fd ? log_fd : stage_fd;
    int high = log_fd < stage_fd ? stage_fd : log_fd;

    close_range(3, low - 1, 0);
    if (low < high)
        close_range(low + 1, high - 1, 0);
    close_range(high + 1, ~0u, 0);
}

static int usage(void)
{
    fprintf(stderr, "usage: puppet --stage FD --submission PATH [--log-fd N] [--debug]\n");
    return 2;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"stage", required_argument, NULL, 's'},
                                            {"submission", required_argument, NULL, 'p'},
                                            {"log-fd", required_argument, NULL, 'l'},
                                            {"debug", no_argument, NULL, 'd'},
                                            {0}};
    int given_fd = -1;
    bool debug = false; /* who runs this may look into it */
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
        switch (option) {
        case 's':
            given_fd = atoi(optarg);
            break;
        case 'p':
            submission_path = optarg;
            break;
        case 'l':
            log_fd = atoi(optarg);
            break;
        case 'd':
            debug = true;
            break;
        default:
            return usage();
        }
    if (given_fd < 0 || !submission_path)
        return usage();

    self = getpid();
    if (!debug)
        prctl(PR_SET_DUMPABLE, 0); /* puppets share this uid, and must not look in here */
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    stage_fd = fcntl(given_fd, F_DUPFD_CLOEXEC, OWN_FDS);
    if (stage_fd < 0) {
        fprintf(stderr, "puppet: cannot move descriptor %d: %s\n", given_fd, strerror(errno));
        return 1;
    }
    close_strangers();
    serve();
}
