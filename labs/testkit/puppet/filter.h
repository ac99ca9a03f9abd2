/* filter.h - the system calls that a puppet refuses to student code (filter.c). */
#ifndef FILTER_H
#define FILTER_H

#include <stdbool.h>

/* Installs the filter, for this process and its children, before the submission
 * is loaded; false when that fails.  Under Valgrind it does nothing. */
bool filter_install(void);

#endif
