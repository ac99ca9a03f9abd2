/* From a slide: the parent sends a line to the child through a pipe. */
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
    int fd[2];
    char text[64] = "";

    pipe(fd);
    if (fork() == 0) {
        close(fd[0]);
        read(fd[1], text, sizeof text - 1);
        printf("child read: \"%s\"\n", text);
        return 0;
    }
    close(fd[1]);
    write(fd[0], "hello, child", strlen("hello, child"));
    wait(NULL);
    return 0;
}
