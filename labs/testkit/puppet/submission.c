/* submission.c - loads the student's shared object and finds its functions
 * (submission.h).
 */
#include "submission.h"

#include <dlfcn.h>
#include <link.h>
#include <stdio.h>
#include <string.h>

#include "shared/wire.h"
#include "valgrind_log.h"
#include "wrappers.h"

/* For dl_iterate_phdr(): tells Valgrind's log and the wrappers where the
 * submission's code lies. */
static int announce_code(struct dl_phdr_info *info, size_t size, void *map)
{
    (void)size;
    if (info->dlpi_addr != ((struct link_map *)map)->l_addr)
        return 0;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        unsigned long at = info->dlpi_addr + part->p_vaddr;

        if (part->p_type != PT_LOAD || !(part->p_flags & PF_X))
            continue;
        log_submission_at(at, at + part->p_memsz);
        faults_submission_at(at, at + part->p_memsz);
    }
    return 1;
}

/* The submission is loaded at the first call and not before, so that a puppet
 * can also execute another program (FRAME_EXEC) without it. */
static void *load(const char *path)
{
    static void *library;
    struct link_map *map;

    if (!library) {
        log_submission_loaded();
        library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
        if (library && dlinfo(library, RTLD_DI_LINKMAP, &map) == 0)
            dl_iterate_phdr(announce_code, map);
    }
    return library;
}

function_of_words *submission_function(const char *path, const char *name, char *why, size_t size)
{
    static char known_name[FRAME_TEXT_BYTES];
    static function_of_words *known;
    void *library;

    if (known && strcmp(name, known_name) == 0)
        return known;
    library = load(path);
    if (!library) {
        snprintf(why, size, "%s", dlerror());
        return NULL;
    }
    known = (function_of_words *)dlsym(library, name);
    if (!known) {
        snprintf(why, size, "the submission does not define %.60s()", name);
        return NULL;
    }
    snprintf(known_name, sizeof known_name, "%s", name);
    return known;
}
