/* tree.h - removes a directory and all that is in it (tree.c). */
#ifndef TREE_H
#define TREE_H

/* Removes a file, or a directory whatever it holds and whatever its mode is, as
 * far as this process may.  Follows no symbolic link. */
void tree_remove(const char *path);

#endif
