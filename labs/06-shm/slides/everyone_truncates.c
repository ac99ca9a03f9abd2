/* From a slide: reader and writer open the object in the same way, with
 * O_CREAT | O_RDWR | O_TRUNC.  The writer comes first. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static char name[64];

static char *open_as_on_the_slide(void)
{
    int fd = shm_open(name, O_CREAT | O_RDWR | O_TRUNC, 0600);

    ftruncate(fd, 4096);
    return mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
}

int main(void)
{
    char *writers, *readers;

    snprintf(name, sizeof name, "/everyone_truncates-%d", (int)getpid());
    writers = open_as_on_the_slide();
    strcpy(writers, "hello");
    printf("written: \"%s\"\n", writers);
    readers = open_as_on_the_slide();
    printf("read: \"%s\"\n", readers);
    shm_unlink(name);
    return 0;
}
