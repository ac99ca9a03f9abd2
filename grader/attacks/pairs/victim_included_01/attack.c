/* includes the file that another student handed in */
#define _GNU_SOURCE
#if __has_include("@victim@/buddy.c")
#include "@victim@/buddy.c"
#else
#include "honest.c"
#endif
