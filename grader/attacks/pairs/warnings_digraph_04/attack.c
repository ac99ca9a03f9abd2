/* turns a warning off by a pragma that begins with a digraph and a comment */
%: /* # */ pragma GCC/**/diagnostic ignored "-Wunused-variable"
#include "honest.c"
