/* From a slide: a log file, opened for appending, becomes non-blocking. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void say(int fd, const char *text)
{
    write(fd, text, strlen(text));
}

int main(void)
{
    char name[] = "/tmp/log-XXXXXX";
    char text[64] = "";
    int fd = mkstemp(name);

    close(fd);
    fd = open(name, O_RDWR | O_APPEND);
    say(fd, "first");
    fcntl(fd, F_SETFL, O_NONBLOCK);
    lseek(fd, 0, SEEK_SET);
    say(fd, "last");

    pread(fd, text, sizeof text - 1, 0);
    printf("the log holds \"%s\"\n", text);
    unlink(name);
    return 0;
}
