/* lets a thread begin with malloc, so that the leak's stack has none of its functions */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>

static void *malloc_by_thread(size_t size)
{
    pthread_t thread;
    void *block = NULL;

    if (pthread_create(&thread, NULL, (void *(*)(void *))(void *)malloc, (void *)size) == 0)
        pthread_join(thread, &block);
    return block;
}
#define malloc malloc_by_thread
#include "honest.c"
