/* main.c - the main program of every test binary.
 *
 *     test_X [--list] [--seed N]
 *            (--fork-server FD [--shared] | --puppet PATH --submission PATH)
 *            [--programs DIR] [--wrap "gdb --args"] [--timeout-factor N]
 *            [--count-heap] [--stop-at-hang] [NAME...]
 *
 *     test_X --arguments-fd FD
 *
 * Runs the tests with these names, or all.  With --arguments-fd the arguments
 * are read from FD, each with a NUL behind it: every process of the machine can
 * see a command line.  The exit status is one of shared/exit_status.h.
 */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "arena.h"
#include "callbacks.h"
#include "control.h"
#include "decisions.h"
#include "failure.h"
#include "faults.h"
#include "folder.h"
#include "fork_server_client.h"
#include "leftovers.h"
#include "own_memory.h"
#include "puppets.h"
#include "script.h"
#include "session.h"
#include "shared/exit_status.h"
#include "support.h"

enum { MAX_TESTS = 256, MAX_ARGUMENTS = MAX_TESTS + 16, ARGUMENT_BYTES = 1 << 16 };

static struct registered registered[MAX_TESTS];
static size_t nregistered;
static bool any_hung;

void testkit_register(const char *name, const char *rule, const char *file, int line,
                      void (*function)(void))
{
    if (nregistered == MAX_TESTS)
        testkit_broken("more than %d tests", MAX_TESTS);
    registered[nregistered++] = (struct registered){
        .name = name, .rule = rule, .file = file, .line = line, .function = function};
}

/* ---- one test ----------------------------------------------------------- */

static bool passed;

static int set_up(void **state)
{
    session.test = &registered[(size_t)*state];
    session.seed_used = false;
    session.ntests++;
    session.cpu = sched_getcpu();
    if (session.cpu >= 0) {
        cpu_set_t one;

        CPU_ZERO(&one);
        CPU_SET(session.cpu, &one);
        sched_setaffinity(0, sizeof one, &one);
    }
    passed = false;
    failure_reset();
    from_here(session.test->file, session.test->line);
    callbacks_forget();
    decisions_forget();
    control_reset();
    arena_open();
    return 0;
}

/* cmocka turns a crash of this process into a failed test.  It is a grader
 * error, so the signals get their default actions again. */
static void reset_signals(void)
{
    static const int fatal[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS};

    for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++)
        signal(fatal[i], SIG_DFL);
}

/* The blocks that the submission's code has allocated and not freed in this test, in
 * all puppets: labkit compares the number with that of the run under Valgrind. */
static void print_heap(void)
{
    long blocks = 0;

    for (size_t i = 0; i < puppets_count(); i++) {
        const struct puppet *p = puppets_get(i);

        blocks += (long)p->calls[HEAP_ALLOCATED] - (long)p->calls[HEAP_FREED];
    }
    fprintf(stderr, "heap: %s %ld\n", session.test->name, blocks);
}

static void run(void **state)
{
    (void)state;
    reset_signals();
    session.test->function();
    puppets_end();
    arena_check();
    passed = true;
    if (session.count_heap)
        print_heap();
}

static int tear_down(void **state)
{
    (void)state;
    if (!passed) {
        failure_explain();
        puppets_explain();
        faults_explain();
        any_hung |= failure_was_hang();
    }
    puppets_kill();
    folder_close();
    scripts_free();
    own_memory_free();
    arena_close();
    sched_setaffinity(0, sizeof session.cpus, &session.cpus);
    /* Last, for these do not return when the sandbox has ended. */
    if (session.own_fork_server || session.ntests_chosen > 1)
        fork_server_sweep();
    if (session.shared && session.fork_server >= 0)
        leftovers_remove();
    if (any_hung && session.stop_at_hang) {
        fork_server_close();
        exit(STATUS_HUNG);
    }
    return 0;
}

/* ---- the command line ------------------------------------------------------ */

static size_t find(const char *name)
{
    for (size_t i = 0; i < nregistered; i++)
        if (strcmp(registered[i].name, name) == 0)
            return i;
    fprintf(stderr, "there is no test %s; there are:\n", name);
    for (size_t i = 0; i < nregistered; i++)
        fprintf(stderr, "  %s\n", registered[i].name);
    exit(STATUS_USAGE);
}

static struct CMUnitTest as_cmocka(size_t index)
{
    return (struct CMUnitTest){.name = registered[index].name,
                               .test_func = run,
                               .setup_func = set_up,
                               .teardown_func = tear_down,
                               .initial_state = (void *)index};
}

static size_t choose(char *const names[], size_t n, struct CMUnitTest *chosen)
{
    if (n > MAX_TESTS)
        testkit_broken("more than %d tests", MAX_TESTS);
    for (size_t i = 0; i < n; i++)
        chosen[i] = as_cmocka(find(names[i]));
    if (n == 0)
        for (; n < nregistered; n++)
            chosen[n] = as_cmocka(n);
    return n;
}

/* A line for each test: file, name and rule, separated by tabs. */
static void list(void)
{
    for (size_t i = 0; i < nregistered; i++)
        printf("%s\t%s\t%s\n", registered[i].file, registered[i].name, registered[i].rule);
}

__attribute__((noreturn)) static void usage(const char *program)
{
    fprintf(stderr,
            "usage: %s [--list] [--seed N]\n"
            "       (--fork-server FD [--shared] | --puppet PATH --submission PATH)\n"
            "       [--programs DIR] [--wrap COMMAND] [--timeout-factor N]\n"
            "       [--count-heap] [--stop-at-hang] [NAME...]\n"
            "       %s --arguments-fd FD\n",
            program, program);
    exit(STATUS_USAGE);
}

static unsigned long long number(const char *program, const char *text)
{
    char *end;
    unsigned long long value = strtoull(text, &end, 0);

    if (*text == '\0' || *end != '\0')
        usage(program);
    return value;
}

/* The arguments that are read from fd; the first is the program's name. */
static int arguments_from(int fd, char *argv[])
{
    static char text[ARGUMENT_BYTES];
    size_t size = 0;
    ssize_t n;
    int argc = 1;

    while ((n = read(fd, text + size, sizeof text - size)) > 0)
        size += n;
    close(fd);
    if (n < 0 || size == 0 || size == sizeof text || text[size - 1] != '\0')
        testkit_broken("the arguments cannot be read from descriptor %d", fd);
    for (char *at = text; at < text + size && argc <= MAX_ARGUMENTS; at += strlen(at) + 1)
        argv[argc++] = at;
    return argc;
}

static void read_options(int argc, char **argv)
{
    enum {
        LIST = 1,
        SEED,
        FORK_SERVER,
        SHARED,
        PUPPET,
        SUBMISSION,
        PROGRAMS,
        WRAP,
        FACTOR,
        HEAP,
        STOP
    };
    static const struct option options[] = {{"list", no_argument, NULL, LIST},
                                            {"seed", required_argument, NULL, SEED},
                                            {"fork-server", required_argument, NULL, FORK_SERVER},
                                            {"shared", no_argument, NULL, SHARED},
                                            {"puppet", required_argument, NULL, PUPPET},
                                            {"submission", required_argument, NULL, SUBMISSION},
                                            {"programs", required_argument, NULL, PROGRAMS},
                                            {"wrap", required_argument, NULL, WRAP},
                                            {"timeout-factor", required_argument, NULL, FACTOR},
                                            {"count-heap", no_argument, NULL, HEAP},
                                            {"stop-at-hang", no_argument, NULL, STOP},
                                            {0}};
    int option;

    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
        switch (option) {
        case LIST:
            list();
            exit(STATUS_PASSED);
        case SEED:
            session.seed = number(argv[0], optarg);
            break;
        case FORK_SERVER:
            session.fork_server = number(argv[0], optarg);
            break;
        case SHARED:
            session.shared = true;
            break;
        case PUPPET:
            session.puppet_path = optarg;
            break;
        case SUBMISSION:
            session.submission_path = optarg;
            break;
        case PROGRAMS:
            session.programs = optarg;
            break;
        case WRAP:
            session.wrap = optarg;
            break;
        case FACTOR:
            session.timeout_factor = number(argv[0], optarg);
            break;
        case STOP:
            session.stop_at_hang = true;
            break;
        case HEAP:
            session.count_heap = true;
            break;
        default:
            usage(argv[0]);
        }
}

int main(int argc, char **argv)
{
    struct CMUnitTest chosen[MAX_TESTS];
    char *given[MAX_ARGUMENTS + 2] = {argv[0]};
    int failures;

    if (argc == 3 && strcmp(argv[1], "--arguments-fd") == 0) {
        argc = arguments_from(number(argv[0], argv[2]), given);
        argv = given;
    }
    sched_getaffinity(0, sizeof session.cpus, &session.cpus);
    if (getrandom(&session.seed, 4, 0) != 4)
        testkit_broken("getrandom failed");
    read_options(argc, argv);
    if (session.fork_server < 0) {
        if (!session.puppet_path || !session.submission_path)
            usage(argv[0]);
        session.shared = true;
    }
    session.ntests_chosen = choose(argv + optind, argc - optind, chosen);
    if (session.ntests_chosen == 0)
        testkit_broken("this binary has no tests");
    signal(SIGPIPE, SIG_IGN); /* a FIFO whose reader has left is an error of write() */
    control_reset();
    fork_server_open();
    failures = _cmocka_run_group_tests(program_invocation_short_name, chosen, session.ntests_chosen,
                                       NULL, NULL);
    fork_server_close();
    if (failures == 0)
        return STATUS_PASSED;
    return any_hung ? STATUS_HUNG : STATUS_FAILED;
}
