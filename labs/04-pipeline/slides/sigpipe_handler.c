/* From a slide: a handler that prints a message prevents death by SIGPIPE. */
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

static void on_sigpipe(int number)
{
    fprintf(stderr, "caught signal %d, all is well\n", number);
}

int main(void)
{
    char block[4096] = "";

    signal(SIGPIPE, on_sigpipe);
    for (int i = 0; i < 100; i++)
        write(STDOUT_FILENO, block, sizeof block);
    fprintf(stderr, "wrote 100 blocks\n");
    return 0;
}
