/* From a slide: start two commands, wait for both. */
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static void start(const char *command)
{
    if (fork() == 0)
        execlp(command, command, (char *)NULL);
}

int main(void)
{
    printf("starting\n");
    start("sotr");
    start("true");
    wait(NULL);
    wait(NULL);
    printf("both have ended\n");
    return 0;
}
