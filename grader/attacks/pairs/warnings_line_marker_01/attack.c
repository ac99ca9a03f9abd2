/* says by a line marker that the code is a system header */
# 1 "buddy.c" 3
#include "honest.c"
