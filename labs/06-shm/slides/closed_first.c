/* From a slide: the descriptor is closed as soon as the object has its size. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int main(void)
{
    char name[64];
    char *p;
    int fd;

    snprintf(name, sizeof name, "/closed_first-%d", (int)getpid());
    fd = shm_open(name, O_CREAT | O_RDWR, 0600);
    ftruncate(fd, 4096);
    close(fd);
    p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (p == MAP_FAILED)
        perror("mmap");
    else
        strcpy(p, "hello");
    shm_unlink(name);
    return 0;
}
