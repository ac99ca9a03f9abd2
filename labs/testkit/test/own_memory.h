/* own_memory.h - the test's own memory, for main.c (own_memory.c).  Tests use
 * test_alloc() and others in testkit.h.
 */
#ifndef OWN_MEMORY_H
#define OWN_MEMORY_H

void own_memory_free(void); /* at the end of a test */

#endif
