/* folder.h - the folder that a sandbox shares with the test (folder.c).
 *
 * Functions that return a descriptor return a new one, close-on-exec, or -1 with
 * errno.  A name has no '/'.
 */
#ifndef FOLDER_H
#define FOLDER_H

#include <sys/types.h>

int folder_make(void); /* makes it unless it exists; the directory itself */
const char *folder_path(void);

/* Opens a file there: without waiting, and never through a symbolic link. */
int folder_open(const char *name, int flags);
/* Makes a file of a type (S_IFREG, S_IFIFO, S_IFDIR) with exactly these
 * permissions.  Returns 0, or -1 with errno. */
int folder_create(const char *name, mode_t mode);

void folder_remove(void); /* with all that is in it */
void folder_leave(void);  /* in a puppet: closes the descriptor */

#endif
