/* folder.c - the folder that a sandbox shares with the test (folder.h).
 *
 * The fork server makes it, and opens what is in it for the test, since it has
 * the sandbox's user: root without capabilities may not open that user's files.
 * It keeps the directory open, so that a submission which moves or replaces the
 * directory leads it nowhere.  The test checks the type of what it gets.
 *
 * Partner: test/folder.c.
 */
#include "folder.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/tree.h"
#include "shared/wire.h"

enum { SAFE = O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC };

static char path[FRAME_TEXT_BYTES];
static int directory = -1;

/* Below TMPDIR, unless that is too long for a frame. */
static void choose_path(void)
{
    static const char name[] = "testkit-XXXXXX";
    const char *parent = getenv("TMPDIR");

    if (!parent || *parent != '/' ||
        snprintf(path, sizeof path, "%s/%s", parent, name) >= (int)sizeof path)
        snprintf(path, sizeof path, "/tmp/%s", name);
}

static int make(void)
{
    int fd;

    choose_path();
    if (!mkdtemp(path))
        return -1;
    fd = open(path, O_RDONLY | O_DIRECTORY | SAFE);
    if (fd < 0)
        return -1;
    directory = fcntl(fd, F_DUPFD_CLOEXEC, OWN_FDS);
    close(fd);
    return directory;
}

int folder_make(void)
{
    if (directory < 0 && make() < 0)
        return -1;
    return openat(directory, ".", O_RDONLY | O_DIRECTORY | SAFE);
}

const char *folder_path(void)
{
    return path;
}

int folder_open(const char *name, int flags)
{
    return openat(directory, name, flags | SAFE);
}

int folder_create(const char *name, mode_t mode)
{
    mode_t mask = umask(0);
    int result =
        S_ISDIR(mode) ? mkdirat(directory, name, mode & 07777) : mknodat(directory, name, mode, 0);
    int error = errno;

    umask(mask);
    errno = error;
    return result;
}

void folder_remove(void)
{
    if (directory < 0)
        return;
    tree_remove(path);
    folder_leave();
}

void folder_leave(void)
{
    if (directory >= 0)
        close(directory);
    directory = -1;
}
