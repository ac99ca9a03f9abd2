/* libc.h - functions of libc that the puppet's wrappers hide (libc.c). */
#ifndef LIBC_H
#define LIBC_H

/* The function of libc with this name, never one of the submission or of the
 * wrappers; NULL if there is none. */
void *libc_function(const char *name);

#endif
