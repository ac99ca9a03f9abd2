/* overwrite.h - for frames.c: results that no test may read any more
 * (overwrite.c). */
#ifndef OVERWRITE_H
#define OVERWRITE_H

void overwrite_results(void); /* before a call */

#endif
