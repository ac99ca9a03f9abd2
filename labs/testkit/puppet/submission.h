/* submission.h - the student's shared object in a puppet (submission.c). */
#ifndef SUBMISSION_H
#define SUBMISSION_H

#include <stddef.h>
#include <stdint.h>

/* Every argument is an integer or a pointer.  The calling convention passes
 * six of them in registers, and a function with fewer parameters ignores the
 * rest. */
typedef uint64_t function_of_words(uint64_t, uint64_t, uint64_t, uint64_t, uint64_t, uint64_t);

/* Returns the function of this name; the first call loads the submission at
 * path.  NULL, with the reason in why, when there is none. */
function_of_words *submission_function(const char *path, const char *name, char *why, size_t size);

#endif
