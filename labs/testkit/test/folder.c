/* folder.c - a folder and message queues that the test shares with the sandbox
 * (testkit.h).
 *
 * Theory of operation.  The fork server makes the folder, opens files and queues
 * there and passes the descriptors on; so their user is the sandbox's in every
 * kind of sandbox, and no path of the sandbox is resolved by the test.  A file is
 * opened without waiting and without following links, and then only its type is
 * checked.  Whatever else a submission does to it (removes or replaces it, takes
 * away the permission, fills the disk) is an error of a call, never a wait, and
 * its own failure.
 *
 * Partner: puppet/folder.c.
 */
#include "folder.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "failure.h"
#include "fork_server_client.h"
#include "session.h"
#include "support.h"

enum { MAX_QUEUES = 32, MAX_NAMES = 256 };

static int directory = -1;
static mqd_t queues[MAX_QUEUES];
static size_t nqueues;

void folder_close(void)
{
    for (size_t i = 0; i < nqueues; i++)
        mq_close(queues[i]);
    nqueues = 0;
    if (directory >= 0)
        close(directory);
    directory = -1;
}

/* Sends a request that names something; false with errno when it failed there. */
static bool request(struct frame *request, const char *name, struct frame *reply, int *fd)
{
    if (snprintf(request->text, sizeof request->text, "%s", name) >= FRAME_TEXT_BYTES)
        testkit_broken("%s: the name is too long", name);
    if (fork_server_request(request, -1, reply, fd))
        return true;
    errno = reply->error;
    return false;
}

/* Returns the descriptor that comes back, or -1 with errno. */
static int request_fd(struct frame *to_send, const char *name)
{
    struct frame reply;
    int fd;

    if (!request(to_send, name, &reply, &fd))
        return -1;
    if (fd < 0)
        testkit_broken("no descriptor came for %s: has the test too many?", name);
    return fd;
}

/* ---- the folder ------------------------------------------------------------------ */

static void need_folder(void)
{
    struct frame make = {.kind = FRAME_FOLDER}, reply;

    if (directory >= 0)
        return;
    if (!request(&make, "", &reply, &directory) || directory < 0)
        sandbox_spoiled("no folder can be made there: %s", error_name(errno));
    memcpy(session.folder, reply.text, sizeof session.folder);
}

static void check_name(const char *name)
{
    if (strchr(name, '/') || *name == '\0' || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        testkit_broken("%s is no name of a file in the shared folder", name);
    need_folder();
}

const char *folder_path(const char *name)
{
    char path[sizeof session.folder + NAME_MAX];

    need_folder();
    snprintf(path, sizeof path, "%s%s%s", session.folder, *name ? "/" : "", name);
    return test_string(path);
}

static const char *type_name(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFREG:
        return "a regular file";
    case S_IFIFO:
        return "a FIFO";
    case S_IFDIR:
        return "a directory";
    case S_IFLNK:
        return "a symbolic link";
    case S_IFSOCK:
        return "a socket";
    }
    return "a device";
}

/* What the sandbox, not the file, lacks. */
static bool is_lack(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOSPC;
}

static int open_there(const char *name, int flags)
{
    struct frame open = {.kind = FRAME_OPEN, .words = {flags}};

    return request_fd(&open, name);
}

bool folder_stat(const char *name, struct stat *st)
{
    int fd;

    check_name(name);
    fd = open_there(name, O_PATH);
    if (fd < 0 && is_lack(errno))
        sandbox_spoiled("%s cannot be opened: %s", name, error_name(errno));
    if (fd < 0 && errno != ENOENT)
        test_fail("%s cannot be seen in its folder: %s", name, error_name(errno));
    if (fd < 0 || fstat(fd, st) < 0)
        return false;
    close(fd);
    return true;
}

static void check_type(const char *name, mode_t mode, mode_t type)
{
    if ((mode & S_IFMT) != type)
        test_fail("%s is %s; expected: %s", name, type_name(mode), type_name(type));
}

__attribute__((noreturn)) static void fail_to_open(const char *name, mode_t type, int error)
{
    struct stat st;

    if (is_lack(error))
        sandbox_spoiled("%s cannot be opened: %s", name, error_name(error));
    if (folder_stat(name, &st))
        check_type(name, st.st_mode, type);
    test_fail("%s, %s, cannot be opened: %s", name, type_name(type), error_name(error));
}

int folder_open(const char *name, int flags, mode_t type)
{
    struct stat st;
    int fd;

    check_name(name);
    if (flags & O_CREAT)
        testkit_broken("%s: folder_create() makes files", name);
    fd = open_there(name, flags);
    if (fd >= 0 && fstat(fd, &st) == 0)
        check_type(name, st.st_mode, type);
    else if (errno == ENXIO && type == S_IFIFO && folder_stat(name, &st) && S_ISFIFO(st.st_mode))
        errno = ENXIO;
    else if (errno != ENOENT)
        fail_to_open(name, type, errno);
    return fd;
}

void folder_create(const char *name, mode_t mode)
{
    struct frame create = {.kind = FRAME_CREATE, .words = {mode}}, reply;
    int fd;

    check_name(name);
    if (!request(&create, name, &reply, &fd))
        sandbox_spoiled("%s, %s, cannot be made: %s", name, type_name(mode), error_name(errno));
}

static int by_name(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The test has an open directory of its own: reading it needs no permission. */
static size_t read_names(char *names[], size_t max)
{
    DIR *dir = fdopendir(fcntl(directory, F_DUPFD_CLOEXEC, 0));
    const struct dirent *entry;
    size_t n = 0;

    if (!dir)
        testkit_broken("cannot read the shared folder: %s", strerror(errno));
    rewinddir(dir);
    while (n < max && (entry = readdir(dir)))
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            names[n++] = test_string(quoted(entry->d_name));
    closedir(dir);
    return n;
}

const char *folder_list(void)
{
    static char text[8192];
    char *names[MAX_NAMES];
    size_t n;

    need_folder();
    n = read_names(names, MAX_NAMES);
    qsort(names, n, sizeof *names, by_name);
    text[0] = '\0';
    for (size_t i = 0; i < n; i++)
        text_add(text, sizeof text, "%s\n", names[i]);
    return text;
}

/* ---- message queues ----------------------------------------------------------------- */

mqd_t queue_open(const char *name, int flags, const struct mq_attr *attr)
{
    struct frame open = {.kind = FRAME_QUEUE,
                         .words = {flags | O_NONBLOCK | O_CLOEXEC, attr ? attr->mq_maxmsg : 0,
                                   attr ? attr->mq_msgsize : 0}};
    mqd_t queue;

    if (nqueues == MAX_QUEUES)
        testkit_broken("a test opens at most %d message queues", MAX_QUEUES);
    queue = request_fd(&open, name);
    if (queue >= 0)
        return queues[nqueues++] = queue;
    if (errno == EINVAL)
        testkit_broken("the message queue %s cannot have these attributes", name);
    if (errno != ENOENT && errno != EEXIST)
        sandbox_spoiled("the message queue %s cannot be opened: %s", name, error_name(errno));
    return -1;
}
