/* strange.h - functions that the kit's own tests call in a puppet. */
#ifndef STRANGE_H
#define STRANGE_H

#include <stddef.h>
#include <sys/types.h>

long add(long a, long b, long c, long d, long e, long f);
int set_errno(int error);
void *echo(void *p);
int fill(char *buf, size_t len, int byte);
int sum(const char *buf, size_t len); /* copies byte by byte, so a trap stops it */
int crash(void);
int leave(int status);
int leave_at_once(int status);
int fork_and_return(void);
int spawn_with_disguised_pointer(void);
int lose_memory(int in_a_child); /* 33 bytes; 1: a child by fork(), 2: by _Fork() */
int return_in_child_only(void);
int spin(void);
int spin_until_sigxcpu(void);
int nap(void);
int sleep_until_signal(void);
int read_from(int fd);
int timed_read_from(int fd, int timeout_ms);
int open_leak(void);
int zombie(void);
int daemon_and_die(void);
int close_all(void);
int forge(int kind); /* a reply of its own, then a hang */
int forge_from_child(void);
int flood(void); /* replies until the socket is full */
int stop_self(void);
int make_objects(const char *name);
int remove_objects(const char *name);
int fork_calls(int n); /* forks and reaps n children; -1 at the first failure */
int read_all(int fd, char *buf, size_t len); /* as often as it takes */
void *map_shared(const char *name);
int leave_a_thread(void);                    /* which opens and closes files */
int leave_a_busy_thread(int fd);             /* which has used CPU time, and waits for a byte */
int read_after_the_thread(int fd);           /* joins it first */
int read_beside_a_program(int fd);           /* which it started, and which reads fd, too */
int child_and_grandchild_write(int *number); /* returns what the parent has afterwards */
int read_fork_server_memory(void);           /* 0 when its memory can be read */
int missing_function(void);                  /* declared here, defined nowhere */

#endif
