/* objects.h - the objects left in the sandbox (objects.c). */
#ifndef OBJECTS_H
#define OBJECTS_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

/* Lists into text, one per line: POSIX shared memory, semaphores and message
 * queues of this user whose names contain `mark`, its System V objects where that
 * is "", and the processes that have become children of `reaper` without being its
 * puppets (is_puppet says which are).  What cannot be listed is a line as well.
 * Message queues are seen only where /dev/mqueue is mounted.  A list that does
 * not fit is cut off and ends with "...". */
void list_objects(char *text, size_t size, const char *mark, pid_t reaper,
                  bool (*is_puppet)(pid_t));

/* The permissions of POSIX shared memory ("/name"), or of the System V segment with
 * this key; -1 when there is none. */
int memory_mode(const char *name);
int segment_mode(int key);

/* Removes all these objects.  Only for a user that no one else is: in a private
 * sandbox, or one with a uid of its own. */
void remove_objects(void);

#endif
