/* probe.h - what the helper program probe tells a test about itself. */
#ifndef PROBE_H
#define PROBE_H

/* Where a probe finds the SOCK_SEQPACKET socket to the test: descriptor 2,
 * because every stage has it, even if it closes all descriptors above 2. */
enum { PROBE_CONTROL_FD = 2 };

#define PROBE_MAGIC 0x70726f62652d3034ULL

struct announcement {
    unsigned long long magic;
    char name[16];
};

#endif
