/* leftovers.c - what a call has left: descriptors, children, and objects left
 * in the sandbox.
 */
#include "leftovers.h"

#include <fcntl.h>
#include <mqueue.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "failure.h"
#include "fork_server_client.h"
#include "nonce.h"
#include "puppets.h"
#include "session.h"
#include "shared/text.h"

enum { MAX_NAMES = 256, NAME_BYTES = 96, MARK_BYTES = 32, MQUEUE_MAGIC = 0x19800202 };

static void list_fds(char *text, size_t size, const struct fd_info *fds, size_t n)
{
    snprintf(text, size, "%s", n ? "" : "none");
    for (size_t i = 0; i < n; i++)
        text_add(text, size, "%s%d (%s%s)", i ? ", " : "", fds[i].fd, fds[i].target,
                 fds[i].cloexec ? ", close-on-exec" : "");
}

static bool same_fds(const struct fd_info *a, size_t na, const struct fd_info *b, size_t nb)
{
    if (na != nb)
        return false;
    for (size_t i = 0; i < na; i++)
        if (a[i].fd != b[i].fd || a[i].cloexec != b[i].cloexec ||
            strcmp(a[i].target, b[i].target) != 0)
            return false;
    return true;
}

__attribute__((noreturn)) static void fail_for_unreadable(pid_t pid, const char *what)
{
    test_fail("process %d made itself unreadable, so its %s cannot be seen", pid, what);
}

size_t process_fds(pid_t pid, struct fd_info *out, size_t max)
{
    ssize_t n = read_fds(pid, out, max);

    if (n < 0)
        fail_for_unreadable(pid, "descriptors");
    return n;
}

bool process_has_mapped(pid_t pid, const char *name)
{
    int found = maps_contain(pid, name);

    if (found < 0)
        fail_for_unreadable(pid, "mappings");
    return found;
}

void assert_fds_are(pid_t pid, const struct fd_info *expected, size_t n)
{
    struct fd_info fds[500];
    size_t found = process_fds(pid, fds, 500);
    char have[1000], want[1000];

    if (same_fds(fds, found, expected, n))
        return;
    list_fds(have, sizeof have, fds, found);
    list_fds(want, sizeof want, expected, n);
    test_fail("open descriptors are %s; they should be %s", have, want);
}

void assert_no_children(struct puppet *p)
{
    struct process_info children[64];
    size_t n = process_children(p->pid, children, 64);

    if (n)
        test_fail("after %s: %zu %s left, the first is %s, pid %d%s", p->doing, n,
                  n == 1 ? "child is" : "children are", children[0].name, children[0].pid,
                  children[0].state == 'Z' ? " (a zombie: no process waited for it)" : "");
}

/* The last names, also of earlier tests. */
static char names[MAX_NAMES][NAME_BYTES];
static size_t nnames;

const char *object_name(const char *stem)
{
    char *name = names[nnames++ % MAX_NAMES];

    snprintf(name, NAME_BYTES, "/%.40s-%d.%u-%08x", stem, getpid(), session.ntests,
             (unsigned)nonce_new());
    return test_string(name);
}

/* A part of the name of every object that is this test's, in text[]: without
 * private namespaces (--shared) those that object_name() named. */
static const char *own_mark(char text[MARK_BYTES])
{
    text[0] = '\0';
    if (session.shared)
        snprintf(text, MARK_BYTES, "-%d.%u-", getpid(), session.ntests);
    return text;
}

static bool queues_are_listed(void)
{
    struct statfs fs;

    return statfs("/dev/mqueue", &fs) == 0 && fs.f_type == MQUEUE_MAGIC;
}

static bool queue_exists(const char *name)
{
    mqd_t queue = mq_open(name, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

    if (queue >= 0)
        mq_close(queue);
    return queue >= 0 || errno == EACCES;
}

/* Where the fork server cannot list message queues (WSL, a container), the test
 * tries the names that it knows. */
static void add_unlisted_queues(char *text, size_t size, const char *mark)
{
    if (!session.shared || queues_are_listed())
        return;
    for (size_t i = 0; i < nnames && i < MAX_NAMES; i++)
        if (strstr(names[i], mark) && queue_exists(names[i]))
            text_add(text, size, "POSIX message queue %s\n", names[i]);
}

static char *list(void)
{
    static char text[OBJECTS_BYTES + 4096];
    char mark[MARK_BYTES];

    snprintf(text, sizeof text, "%s", fork_server_objects(own_mark(mark)));
    add_unlisted_queues(text, sizeof text, mark);
    return text;
}

/* What cannot be seen is never taken for nothing. */
const char *leftovers(void)
{
    const char *lines = list();
    size_t length = strlen(lines);

    if (strstr(lines, UNLISTED))
        sandbox_spoiled("its objects cannot be listed: %.300s", lines);
    if (length >= 3 && strcmp(lines + length - 3, "...") == 0)
        test_fail("there are more objects than can be listed: %.300s...", lines);
    return lines;
}

static int ask_mode(struct frame *request)
{
    struct frame reply;
    int fd;

    fork_server_request(request, -1, &reply, &fd);
    return (int)reply.words[0];
}

int shm_mode(const char *name)
{
    struct frame request = {.kind = FRAME_MODE};

    snprintf(request.text, sizeof request.text, "%s", name);
    return ask_mode(&request);
}

int sysv_shm_mode(int key)
{
    struct frame request = {.kind = FRAME_MODE, .words = {key}};

    return ask_mode(&request);
}

void assert_nothing_left(void)
{
    struct deadline until = deadline_start();
    const char *left;

    while (*(left = leftovers()))
        if (!deadline_look_again(&until))
            test_fail("left behind: %s", left);
}

void leftovers_remove(void)
{
    char *rest;

    for (char *line = strtok_r(list(), "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        const char *name = strchr(line, '/');

        if (name && strncmp(line, "process ", 8) != 0) {
            mq_unlink(name);
            shm_unlink(name); /* unlinks semaphores as well: they are files there */
        }
    }
}
