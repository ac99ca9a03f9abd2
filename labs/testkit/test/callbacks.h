/* callbacks.h - functions of the test that student code calls (callbacks.c).
 * Tests use callback() in testkit.h.
 */
#ifndef CALLBACKS_H
#define CALLBACKS_H

#include "puppets.h"

void callbacks_forget(void); /* before each test */

/* Reserves a number for a function; nargs as in callback(). */
unsigned callbacks_add(callback_function *, size_t nargs);

/* Answers a FRAME_CALLBACK. */
void callbacks_serve(struct puppet *, const struct message *);

#endif
