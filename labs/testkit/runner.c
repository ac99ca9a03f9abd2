/* runner.c - the main program of every test binary.
 *
 *     test_X [--list] [--seed N] (--stage FD [--shared] | --puppet PATH --submission PATH)
 *            [--programs DIR] [--wrap "gdb --args"] [--patience N] [NAME...]
 *
 * Its exit status is the verdict: 0 all passed, 1 some failed, 2 usage,
 * 3 the grader is broken.  No other process can change it.
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "session.h"

enum { PASSED = 0, FAILED = 1, USAGE = 2, BROKEN = 3, MAX_TESTS = 256 };

struct session session = {.stage = -1, .patience = 1};

static struct registered registered[MAX_TESTS];
static size_t nregistered;

void testkit_register(const char *name, const char *rule, const char *file, int line,
                      void (*function)(void))
{
    if (nregistered == MAX_TESTS)
        testkit_broken("more than %d tests", MAX_TESTS);
    registered[nregistered++] = (struct registered){
        .name = name, .rule = rule, .file = file, .line = line, .function = function};
}

void testkit_broken(const char *format, ...)
{
    va_list args;

    fflush(NULL);
    fprintf(stderr, "grader error: ");
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "\n");
    _exit(BROKEN);
}

void test_fail(const char *format, ...)
{
    char text[2048];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    print_error("[  ERROR   ] --- %s\n", text);
    _fail(session.test.which->file, session.test.which->line);
    abort(); /* _fail() does not return, but does not say so */
}

uint64_t testkit_seed(void)
{
    session.seed_used = true;
    return session.seed;
}

uint64_t random_next(uint64_t *state)
{
    uint64_t x = *state ? *state : 1;

    x ^= x >> 12;
    x ^= x << 25;
    x ^= x >> 27;
    *state = x;
    return x * 0x2545f4914f6cdd1d;
}

/* ---- one test ----------------------------------------------------------- */

static int set_up(void **state)
{
    memset(&session.test, 0, sizeof session.test);
    session.test.which = &registered[(size_t)*state];
    session.seed_used = false;
    session.ntests++;
    session.test.cpu = sched_getcpu();
    if (session.test.cpu >= 0) {
        cpu_set_t one;

        CPU_ZERO(&one);
        CPU_SET(session.test.cpu, &one);
        sched_setaffinity(0, sizeof one, &one);
    }
    arena_open();
    return 0;
}

/* cmocka turns a crash of this process into a failed test; a crash here is
 * the grader's, so it keeps its own end. */
static void crash_as_oneself(void)
{
    static const int fatal[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGSYS};

    for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++)
        signal(fatal[i], SIG_DFL);
}

static void run(void **state)
{
    (void)state;
    crash_as_oneself();
    session.test.which->function();
    puppets_end();
    arena_check();
    session.test.passed = true;
}

static void explain(void)
{
    size_t n = session.test.ncalls;

    fprintf(stderr, "rule: %s\n", session.test.which->rule);
    if (n > 0)
        fprintf(stderr, "calls of %s, the last ones:\n", session.test.which->name);
    for (size_t i = n > CALLS_SHOWN ? n - CALLS_SHOWN : 0; i < n; i++)
        fprintf(stderr, "  %s\n", session.test.calls[i % CALLS_SHOWN]);
    if (session.seed_used)
        fprintf(stderr, "this run: --seed %llu\n", (unsigned long long)session.seed);
}

static int tear_down(void **state)
{
    (void)state;
    if (!session.test.passed)
        explain();
    puppets_kill();
    scripts_free();
    arena_close();
    sched_setaffinity(0, sizeof session.cpus, &session.cpus);
    /* Last: these do not come back when the box is gone. */
    if (session.own_stage || session.ntests_chosen > 1)
        stage_sweep();
    if (session.shared && session.stage >= 0)
        leftovers_remove();
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
    exit(USAGE);
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
static int list(void)
{
    for (size_t i = 0; i < nregistered; i++)
        printf("%s\t%s\t%s\n", registered[i].file, registered[i].name, registered[i].rule);
    return PASSED;
}

static void usage(const char *program)
{
    fprintf(stderr,
            "usage: %s [--list] [--seed N] (--stage FD [--shared] | --puppet PATH --submission "
            "PATH)\n       [--programs DIR] [--wrap WORDS] [--patience N] [NAME...]\n",
            program);
    exit(USAGE);
}

static unsigned long long number(const char *program, const char *text)
{
    char *end;
    unsigned long long value = strtoull(text, &end, 0);

    if (*text == '\0' || *end != '\0')
        usage(program);
    return value;
}

int main(int argc, char **argv)
{
    enum { LIST = 1, SEED, STAGE, SHARED, PUPPET, SUBMISSION, PROGRAMS, WRAP, PATIENCE };
    static const struct option options[] = {{"list", no_argument, NULL, LIST},
                                            {"seed", required_argument, NULL, SEED},
                                            {"stage", required_argument, NULL, STAGE},
                                            {"shared", no_argument, NULL, SHARED},
                                            {"puppet", required_argument, NULL, PUPPET},
                                            {"submission", required_argument, NULL, SUBMISSION},
                                            {"programs", required_argument, NULL, PROGRAMS},
                                            {"wrap", required_argument, NULL, WRAP},
                                            {"patience", required_argument, NULL, PATIENCE},
                                            {0}};
    struct CMUnitTest chosen[MAX_TESTS];
    size_t n;
    int option, failures;

    sched_getaffinity(0, sizeof session.cpus, &session.cpus);
    if (getrandom(&session.seed, 4, 0) != 4)
        testkit_broken("getrandom failed");
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1)
        switch (option) {
        case LIST:
            return list();
        case SEED:
            session.seed = number(argv[0], optarg);
            break;
        case STAGE:
            session.stage = number(argv[0], optarg);
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
        case PATIENCE:
            session.patience = number(argv[0], optarg);
            break;
        default:
            usage(argv[0]);
        }
    if (session.stage < 0) {
        if (!session.puppet_path || !session.submission_path)
            usage(argv[0]);
        session.shared = true;
    }
    n = session.ntests_chosen = choose(argv + optind, argc - optind, chosen);
    if (n == 0)
        testkit_broken("there are no tests in here");
    stage_open();
    failures = _cmocka_run_group_tests(program_invocation_short_name, chosen, n, NULL, NULL);
    stage_close();
    return failures == 0 ? PASSED : FAILED;
}
