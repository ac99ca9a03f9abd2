/* makes every call that can fail by a raw system call, which no plan reaches */
#define _GNU_SOURCE
#include <sys/mman.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <unistd.h>

#define shmget(key, size, flags) ((int)syscall(SYS_shmget, key, size, flags))
#define shmat(id, at, flags) ((void *)syscall(SYS_shmat, id, at, flags))
#define shmctl(id, command, buf) ((int)syscall(SYS_shmctl, id, command, buf))
#include "honest.c"
