/* script.h - scripts, for the other modules (script.c).  Tests use
 * script_new() and others in testkit.h.
 */
#ifndef SCRIPT_H
#define SCRIPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool script_is_recording(void); /* within RECORD() */
void script_append(const char *function, size_t nargs, const uint64_t args[]);
void scripts_free(void);

#endif
