/* turns a warning off by a pragma, spliced over two lines */
#pra\
gma GCC diagnostic ignored "-Wunused-variable"
#include "honest.c"
