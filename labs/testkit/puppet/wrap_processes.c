/* wrap_processes.c - wrappers around the calls that create processes, wait for
 * them, and execute programs (wrap.h).
 */
#include <spawn.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>

#include "wrap.h"

EXPORTED_BEGIN

WRAP(FAULT_FORK, -1, pid_t, fork, (void))
WRAP(FAULT_FORK, -1, pid_t, _Fork, (void)) /* of glibc 2.34 and later */

/* A wrapper cannot return twice on a borrowed stack: vfork is fork here. */
pid_t vfork(void)
{
    return fork();
}

WRAP(FAULT_WAIT, -1, pid_t, wait, (int *status), status)
WRAP(FAULT_WAIT, -1, pid_t, waitpid, (pid_t pid, int *status, int options), pid, status, options)
WRAP(FAULT_WAIT, -1, pid_t, wait3, (int *status, int options, struct rusage *usage), status,
     options, usage)
WRAP(FAULT_WAIT, -1, pid_t, wait4, (pid_t pid, int *status, int options, struct rusage *usage), pid,
     status, options, usage)
WRAP(FAULT_WAIT, -1, int, waitid, (idtype_t type, id_t id, siginfo_t *info, int options), type, id,
     info, options)

WRAP(FAULT_EXEC, -1, int, execve, (const char *path, char *const argv[], char *const envp[]), path,
     argv, envp)
WRAP(FAULT_EXEC, -1, int, execv, (const char *path, char *const argv[]), path, argv)
WRAP(FAULT_EXEC, -1, int, execvp, (const char *file, char *const argv[]), file, argv)
WRAP(FAULT_EXEC, -1, int, execvpe, (const char *file, char *const argv[], char *const envp[]), file,
     argv, envp)
WRAP(FAULT_EXEC, -1, int, fexecve, (int fd, char *const argv[], char *const envp[]), fd, argv, envp)

enum { MAX_ARGS = 256 };

static void collect(const char *argv[], const char *first, va_list *rest)
{
    size_t n = 0;

    argv[n] = first;
    while (n < MAX_ARGS - 1 && argv[n])
        argv[++n] = va_arg(*rest, const char *);
    argv[n] = NULL;
}

int execl(const char *path, const char *arg, ...)
{
    const char *argv[MAX_ARGS];
    va_list rest;

    va_start(rest, arg);
    collect(argv, arg, &rest);
    va_end(rest);
    return execv(path, (char *const *)argv);
}

int execlp(const char *file, const char *arg, ...)
{
    const char *argv[MAX_ARGS];
    va_list rest;

    va_start(rest, arg);
    collect(argv, arg, &rest);
    va_end(rest);
    return execvp(file, (char *const *)argv);
}

int execle(const char *path, const char *arg, ...)
{
    const char *argv[MAX_ARGS];
    char *const *envp;
    va_list rest;

    va_start(rest, arg);
    collect(argv, arg, &rest);
    envp = va_arg(rest, char *const *);
    va_end(rest);
    return execve(path, (char *const *)argv, envp);
}

WRAP_VALUE(FAULT_SPAWN, posix_spawn,
           (pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
            const posix_spawnattr_t *attributes, char *const argv[], char *const envp[]),
           pid, path, actions, attributes, argv, envp)
WRAP_VALUE(FAULT_SPAWN, posix_spawnp,
           (pid_t *pid, const char *file, const posix_spawn_file_actions_t *actions,
            const posix_spawnattr_t *attributes, char *const argv[], char *const envp[]),
           pid, file, actions, attributes, argv, envp)

EXPORTED_END
