/* From a slide: "the object is deleted after the last shm_unlink". */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static char name[64];

static char *open_and_map(int flags)
{
    int fd = shm_open(name, flags, 0600);
    char *p;

    if (fd < 0)
        return NULL;
    ftruncate(fd, 4096);
    p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    return p;
}

int main(void)
{
    char *first, *second, *third;

    snprintf(name, sizeof name, "/last_unlink-%d", (int)getpid());
    first = open_and_map(O_CREAT | O_RDWR);
    second = open_and_map(O_RDWR);
    strcpy(first, "hello");

    printf("first shm_unlink: %d\n", shm_unlink(name));
    printf("second shm_unlink: %d\n", shm_unlink(name));
    printf("mapping of the second open: \"%s\"\n", second);
    third = open_and_map(O_CREAT | O_RDWR);
    printf("mapping of a third open: \"%s\"\n", third);
    shm_unlink(name);
    return 0;
}
