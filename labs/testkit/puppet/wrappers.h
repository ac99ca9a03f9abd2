/* wrappers.h - the puppet executable's wrappers around libc (wrappers.c). */
#ifndef WRAPPERS_H
#define WRAPPERS_H

#include <stddef.h>
#include <stdint.h>

#include "shared/wire.h"

/* From here to faults_disarm(), a call that is armed in the control page for
 * this puppet asks the test first; otherwise the wrappers only pass calls on to
 * libc. */
void faults_arm(unsigned puppet);
void faults_disarm(void);

/* The function of libc with this name, never one of the submission or of the
 * wrappers; NULL if there is none. */
void *libc_function(const char *name);

#endif
