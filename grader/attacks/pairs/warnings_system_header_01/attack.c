/* includes itself as a system header */
#ifndef AS_HEADER
#define AS_HEADER
#include "buddy.c"
#else
#pragma GCC system_header
#include "honest.c"
#endif
