/* overwrite.h - the mode --overwrite-arena, for frames.c (overwrite.c). */
#ifndef OVERWRITE_H
#define OVERWRITE_H

void overwrite_results(void); /* before a call */
void overwrite_inputs(void);  /* after a call has returned */

#endif
