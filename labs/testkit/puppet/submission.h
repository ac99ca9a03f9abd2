/* submission.h - the student's shared object in a puppet (submission.c). */
#ifndef SUBMISSION_H
#define SUBMISSION_H

#include <stddef.h>
#include <stdint.h>

/* Every argument is an integer or a pointer, which the calling conventions of
 * the 64-bit Unix systems pass in registers of their own; a function that
 * takes fewer never looks at the rest. */
typedef uint64_t function_of_words(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);

/* The function of this name; loads the submission at path first, if that has
 * not happened.  NULL, with the reason in why, when there is none. */
function_of_words *submission_function(const char *path, const char *name, char *why, size_t size);

#endif
