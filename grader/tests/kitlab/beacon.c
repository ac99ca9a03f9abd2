/* beacon.c - a program for a puppet to execute: writes one byte to descriptor
 * 30, reads one from 31, and exits with it as its status. */
#include <unistd.h>

int main(void)
{
    char byte = 'b';

    if (write(30, &byte, 1) != 1 || read(31, &byte, 1) != 1)
        return 1;
    return byte;
}
