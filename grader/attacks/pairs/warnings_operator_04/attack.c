/* turns a warning off by the operator _Pragma, made by a macro */
#define QUIET(what) _Prag ## what("GCC diagnostic ignored \"-Wunused-variable\"")
QUIET(ma)
#include "honest.c"
