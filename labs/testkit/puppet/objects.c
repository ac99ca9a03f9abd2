/* objects.c - lists the objects left in the sandbox (objects.h), for
 * leftovers() on the test's side (test/leftovers.c).
 */
#include "objects.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/process.h"
#include "shared/text.h"

enum { MAX_CHILDREN = 64 };

struct listing {
    char *text;
    size_t size;
};

static bool is_dots(const char *name)
{
    return strcmp(name, ".") == 0 || strcmp(name, "..") == 0;
}

static void add_files(const struct listing *list, const char *directory, const char *kind)
{
    DIR *dir = opendir(directory);
    struct dirent *entry;

    while (dir && (entry = readdir(dir))) {
        struct stat st;

        if (!is_dots(entry->d_name) &&
            fstatat(dirfd(dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
            st.st_uid == geteuid())
            text_add(list->text, list->size, "%s /%.200s\n", kind, entry->d_name);
    }
    if (dir)
        closedir(dir);
}

/* /proc/sysvipc/KIND: key, id, perms and then, in another column for each
 * kind, the uid of the creator (the owner can be changed). */
static void add_system_v(const struct listing *list, const char *file, const char *kind,
                         const char *uid_format)
{
    FILE *table = fopen(file, "re");
    char line[512];

    while (table && fgets(line, sizeof line, table)) {
        int key, id;
        unsigned uid;

        if (sscanf(line, uid_format, &key, &id, &uid) == 3 && uid == geteuid())
            text_add(list->text, list->size, "%s, id %d, key 0x%08x\n", kind, id, (unsigned)key);
    }
    if (table)
        fclose(table);
}

void list_objects(char *text, size_t size, pid_t reaper, bool (*is_puppet)(pid_t))
{
    struct listing list = {text, size};
    struct process_info children[MAX_CHILDREN];
    size_t n = process_children(reaper, children, MAX_CHILDREN);

    text[0] = '\0';
    add_files(&list, "/dev/shm", "POSIX shared memory or semaphore");
    add_files(&list, "/dev/mqueue", "POSIX message queue");
    add_system_v(&list, "/proc/sysvipc/shm", "System V shared memory",
                 "%d %d %*o %*u %*d %*d %*u %*u %*u %u");
    add_system_v(&list, "/proc/sysvipc/sem", "System V semaphores", "%d %d %*o %*u %*u %*u %u");
    add_system_v(&list, "/proc/sysvipc/msg", "System V message queue",
                 "%d %d %*o %*u %*u %*d %*d %*u %*u %u");
    for (size_t i = 0; i < n; i++)
        if (children[i].state != 'Z' && !is_puppet(children[i].pid))
            text_add(text, size, "process %s, pid %d\n", children[i].name, children[i].pid);
}
