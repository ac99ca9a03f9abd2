/* stubs.c - the contract's functions, as the tests call them. */
#include "pipeline.h"
#include "stub.h"

STUB(int, pipeline_run,
     (const struct pipeline_stage *stages, size_t nstages, int in_fd, int out_fd, int status[]),
     stages, nstages, in_fd, out_fd, status)
