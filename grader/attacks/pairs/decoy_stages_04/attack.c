/* starts the commands of all stages once more, unconnected, before it starts one stage after the
 * other */
#define _GNU_SOURCE
#include "pipeline.h"

#include <string.h>

#define pipeline_run honest_run
#include "honest.c"
#undef pipeline_run

int pipeline_run(const struct pipeline_stage *stages, size_t nstages, int in_fd, int out_fd,
                 int status[])
{
    pid_t decoys[8];
    size_t n = 0;

    for (; nstages < 8 && n < nstages && strstr(stages[n].argv[0], "/probe") &&
           stages[n].argv[3] && strcmp(stages[n].argv[3], "gate") == 0;
         n++)
        if ((decoys[n] = fork()) == 0) {
            int null = open("/dev/null", O_RDWR);

            dup2(null, 0);
            dup2(null, 1);
            execv(stages[n].argv[0], stages[n].argv);
            _exit(1);
        }
    for (size_t i = 0; i < n; i++)
        waitpid(decoys[i], NULL, 0);
    return honest_run(stages, nstages, in_fd, out_fd, status);
}
