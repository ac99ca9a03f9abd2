/* From a slide: the child writes, the parent reads what it wrote. */
#include <stdio.h>
#include <unistd.h>

int main(void)
{
    FILE *file = tmpfile();
    char text[64] = "";

    if (fork() == 0) {
        fprintf(file, "hello, parent");
        fclose(file);
        return 0;
    }
    ssize_t n = pread(fileno(file), text, sizeof text - 1, 0);

    printf("parent read %zd bytes: \"%s\"\n", n, text);
    return 0;
}
