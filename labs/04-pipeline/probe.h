/* probe.h - what probe.c tells the tests. */
#ifndef PROBE_H
#define PROBE_H

/* A SOCK_SEQPACKET socket that every stage inherits. */
enum { PROBE_CONTROL_FD = 30 };

/* Bit n - 1 of the sets stands for signal n. */
struct announcement {
    char name[16];
    unsigned long long blocked;
    unsigned long long ignored;
};

#endif
