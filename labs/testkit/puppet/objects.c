/* objects.c - the objects left in the sandbox (objects.h): lists them for
 * leftovers() on the test's side (test/leftovers.c), or removes them.
 */
#include "objects.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/process.h"
#include "shared/text.h"
#include "shared/tree.h"
#include "shared/wire.h"

enum { MAX_CHILDREN = 64 };

struct listing {
    char *text;
    size_t size;
    const char *mark; /* only names with this in them */
};

/* Student code can make a directory unreadable or take away descriptors; what is
 * not there is no object. */
static void add_failure(const struct listing *list, const char *path)
{
    if (list && errno != ENOENT)
        text_add(list->text, list->size, "%s%s%s\n", path, UNLISTED, strerror(errno));
}

/* ---- POSIX objects, which are files ------------------------------------------ */

static const struct directory {
    const char *path, *kind;
} directories[] = {
    {"/dev/shm", "POSIX shared memory or semaphore"},
    {"/dev/mqueue", "POSIX message queue"}, /* only where it is mounted */
};

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

/* Lists this user's file there; removes it where there is no list. */
static void handle_file(const struct directory *directory, int fd, const char *name,
                        const struct listing *list)
{
    char path[300];
    struct stat st;

    if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
        add_failure(list, directory->path);
        return;
    }
    if (st.st_uid != geteuid())
        return;
    snprintf(path, sizeof path, "%s/%s", directory->path, name);
    if (!list)
        tree_remove(path);
    else if (strstr(name, list->mark))
        text_add(list->text, list->size, "%s /%.200s\n", directory->kind, name);
}

static void handle_files(const struct directory *directory, const struct listing *list)
{
    DIR *dir = opendir(directory->path);
    struct dirent *entry;

    if (!dir) {
        add_failure(list, directory->path);
        return;
    }
    while ((entry = readdir(dir)))
        if (!is_dots(entry->d_name))
            handle_file(directory, dirfd(dir), entry->d_name, list);
    closedir(dir);
}

/* ---- System V objects ----------------------------------------------------------- */

static int remove_memory(int id)
{
    return shmctl(id, IPC_RMID, NULL);
}

static int remove_semaphores(int id)
{
    return semctl(id, 0, IPC_RMID);
}

static int remove_queue(int id)
{
    return msgctl(id, IPC_RMID, NULL);
}

/* /proc/sysvipc/KIND: key, id, perms and then, in another column for each
 * kind, the uid of the creator (the owner can be changed). */
static const struct table {
    const char *path, *kind, *format;
    int (*remove)(int id);
} tables[] = {
    {"/proc/sysvipc/shm", "System V shared memory", "%d %d %*o %*u %*d %*d %*u %*u %*u %u",
     remove_memory},
    {"/proc/sysvipc/sem", "System V semaphores", "%d %d %*o %*u %*u %*u %u", remove_semaphores},
    {"/proc/sysvipc/msg", "System V message queue", "%d %d %*o %*u %*u %*d %*d %*u %*u %u",
     remove_queue},
};

/* As handle_files(), but these objects have no names. */
static void handle_table(const struct table *table, const struct listing *list)
{
    FILE *file = fopen(table->path, "re");
    char line[512];

    if (!file) {
        add_failure(list, table->path);
        return;
    }
    while (fgets(line, sizeof line, file)) {
        int key, id;
        unsigned uid;

        if (sscanf(line, table->format, &key, &id, &uid) != 3 || uid != geteuid())
            continue;
        if (!list)
            table->remove(id);
        else if (*list->mark == '\0')
            text_add(list->text, list->size, "%s, id %d, key 0x%08x\n", table->kind, id,
                     (unsigned)key);
    }
    fclose(file);
}

/* ---- all of them ------------------------------------------------------------------ */

static void handle_objects(const struct listing *list)
{
    for (size_t i = 0; i < sizeof directories / sizeof *directories; i++)
        handle_files(&directories[i], list);
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
        handle_table(&tables[i], list);
}

void list_objects(char *text, size_t size, const char *mark, pid_t reaper, bool (*is_puppet)(pid_t))
{
    struct listing list = {text, size, mark};
    struct process_info children[MAX_CHILDREN];
    size_t n = process_children(reaper, children, MAX_CHILDREN);

    text[0] = '\0';
    handle_objects(&list);
    for (size_t i = 0; i < n; i++)
        if (children[i].state != 'Z' && !is_puppet(children[i].pid))
            text_add(text, size, "process %s, pid %d\n", children[i].name, children[i].pid);
}

int memory_mode(const char *name)
{
    char path[300];
    struct stat st;

    snprintf(path, sizeof path, "/dev/shm/%s", name);
    return lstat(path, &st) == 0 ? (int)(st.st_mode & 07777) : -1;
}

int segment_mode(int key)
{
    FILE *file = fopen("/proc/sysvipc/shm", "re");
    int mode = -1;
    char line[512];

    while (mode < 0 && file && fgets(line, sizeof line, file)) {
        unsigned permissions;
        int found;

        if (sscanf(line, "%d %*d %o", &found, &permissions) == 2 && found == key)
            mode = (int)(permissions & 0777);
    }
    if (file)
        fclose(file);
    return mode;
}

void remove_objects(void)
{
    handle_objects(NULL);
}
