/* files.c - files that a test gives to puppets (support.h). */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support.h"

enum { MAX_FILE_BYTES = 128 << 20 };

int file_new(const char *name, const void *text, size_t size_bytes)
{
    int fd = memfd_create(name, MFD_CLOEXEC);

    if (fd < 0 || write(fd, text, size_bytes) != (ssize_t)size_bytes || lseek(fd, 0, SEEK_SET) != 0)
        testkit_broken("cannot create a file: %s", strerror(errno));
    return fd;
}

int input_file(const char *text)
{
    return file_new("in", text, strlen(text));
}

int output_file(void)
{
    return file_new("out", "", 0);
}

size_t file_size(int fd)
{
    struct stat status;

    if (fstat(fd, &status) < 0)
        testkit_broken("fstat: %s", strerror(errno));
    return (size_t)status.st_size;
}

char *file_contents(int fd)
{
    size_t size_bytes = file_size(fd);
    char *text;

    if (size_bytes > MAX_FILE_BYTES)
        fail_call("a file has %zu bytes, more than any correct one", size_bytes);
    text = malloc(size_bytes + 1);
    if (!text)
        testkit_broken("no memory for a file of %zu bytes", size_bytes);
    if (pread(fd, text, size_bytes, 0) != (ssize_t)size_bytes)
        fail_call("a file changed while the test read it");
    text[size_bytes] = '\0';
    return text;
}

void file_rewind(int fd)
{
    if (lseek(fd, 0, SEEK_SET) != 0)
        testkit_broken("cannot rewind a file: %s", strerror(errno));
}

void file_clear(int fd)
{
    file_rewind(fd);
    if (ftruncate(fd, 0) < 0)
        testkit_broken("cannot empty a file: %s", strerror(errno));
}

void check_file_holds(int fd, const char *name, const char *expected, const char *file, int line)
{
    char *text;

    from_here(file, line);
    text = file_contents(fd);
    if (strcmp(text, expected) != 0)
        fail_call("the file \"%s\" holds \"%s\"; expected: \"%s\"", name, quoted(text),
                  quoted(expected));
    free(text);
}
