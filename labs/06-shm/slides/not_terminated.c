/* From a slide: strncpy is safe, it never writes more than SHM_SIZE bytes. */
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

enum { SHM_SIZE = 16 };

int main(void)
{
    char *segment = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    const char *message = "pay 100 to alice, and 1000 to bob";

    strcpy(segment + SHM_SIZE, " (the next record)");
    strncpy(segment, message, SHM_SIZE);
    printf("%s\n", segment);
    return 0;
}
