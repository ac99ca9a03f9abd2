/* questions.c - measures what a question of a puppet to the test costs, for
 * `make bench`: a callback, and a call to libc that is armed.
 *
 * It is linked with the kit's own lab (grader/tests/kitlab).  Test and puppet share
 * one CPU, as in every test that does not ask for more.
 */
#include <stdio.h>
#include <sys/resource.h>

#include "hostile.h"
#include "libc_calls.h"
#include "support.h"

enum { CALLS = 100, QUESTIONS = 100000 };

/* CPU time of the test and the puppet. */
static double cpu_us(struct puppet *p)
{
    struct process_activity puppet;
    struct rusage own;

    getrusage(RUSAGE_SELF, &own);
    process_activity(puppet_pid(p), &puppet);
    return puppet.cpu_ns / 1e3 + (own.ru_utime.tv_sec + own.ru_stime.tv_sec) * 1e6 +
           own.ru_utime.tv_usec + own.ru_stime.tv_usec;
}

static uint64_t count(struct puppet *p, const uint64_t args[])
{
    static uint64_t calls;

    (void)p;
    (void)args;
    return ++calls;
}

TEST(callbacks, "A callback is answered.")
{
    struct puppet *p = puppet_start();
    void *function = callback(p, count, 1);
    struct script *s = script_new(CALLS);
    double started;

    for (int i = 0; i < CALLS; i++)
        RECORD(s, call_times(function, QUESTIONS / CALLS));
    started = cpu_us(p);
    script_run(s);
    printf("%.3f us a callback\n", (cpu_us(p) - started) / QUESTIONS);
}

TEST(armed_calls, "An armed call is answered.")
{
    struct puppet *p = puppet_start();
    double started = cpu_us(p);

    fault_watch(p, FAULT_CLOSE);
    close_nothing(QUESTIONS);
    printf("%.3f us an armed call\n", (cpu_us(p) - started) / QUESTIONS);
}
