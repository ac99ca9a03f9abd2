/* callbacks.h - functions in a puppet that the test serves (callbacks.c). */
#ifndef CALLBACKS_H
#define CALLBACKS_H

#include <stdint.h>

/* The address at which student code calls the callback of this number; NULL when
 * there is none. */
void *callback_entry(uint64_t number);

#endif
