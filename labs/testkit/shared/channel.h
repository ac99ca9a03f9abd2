/* channel.h - frames over a SOCK_SEQPACKET socket, optionally with a
 * descriptor, and with the sender's pid as the kernel states it (channel.c).
 */
#ifndef CHANNEL_H
#define CHANNEL_H

#include <sys/types.h>

#include "wire.h"

/* Sends one frame, and fd with it unless that is -1.  Returns 0, or -1 with
 * errno. */
int channel_send(int socket, const struct frame *frame, int fd);

/* Receives one frame; *fd is the descriptor that came with it, close-on-exec,
 * or -1.  Returns the size of the message in bytes (it is a frame only if that
 * is sizeof(struct frame)), 0 at the end, -1 with errno. */
ssize_t channel_receive(int socket, struct frame *frame, int *fd);

/* As channel_receive, for a socket with SO_PASSCRED: *sender is the pid of the
 * process that sent the message, 0 when the kernel did not say. */
ssize_t channel_receive_from(int socket, struct frame *frame, int *fd, pid_t *sender);

#endif
