/* probe.h - what probe.c tells the tests. */
#ifndef PROBE_H
#define PROBE_H

/* A SOCK_SEQPACKET socket to the test, at the one number that every stage
 * inherits, also of a caller who closes whatever lies above 2. */
enum { PROBE_CONTROL_FD = 2 };

#define PROBE_MAGIC 0x70726f62652d3034ULL

/* Bit n - 1 of the sets stands for signal n. */
struct announcement {
    unsigned long long magic;
    char name[16];
    unsigned long long blocked;
    unsigned long long ignored;
};

#endif
