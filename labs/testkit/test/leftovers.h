/* leftovers.h - objects that a test leaves behind, for main.c (leftovers.c). */
#ifndef LEFTOVERS_H
#define LEFTOVERS_H

/* Removes the objects of this test that object_name() named. */
void leftovers_remove(void);

#endif
