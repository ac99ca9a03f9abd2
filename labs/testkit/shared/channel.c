/* channel.c - frames over a socket (channel.h).  Only this file handles control
 * messages: SCM_RIGHTS carries a descriptor, SCM_CREDENTIALS the sender's pid,
 * which the kernel fills in, so that it cannot be forged.
 */
#include "channel.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

union control_buffer {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(sizeof(int)) + CMSG_SPACE(sizeof(struct ucred))];
};

int channel_send(int socket, const struct frame *frame, int fd)
{
    struct iovec part = {.iov_base = (void *)frame, .iov_len = sizeof *frame};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    union control_buffer control = {0};
    ssize_t sent;

    if (fd >= 0) {
        struct cmsghdr *header;

        message.msg_control = control.bytes;
        message.msg_controllen = CMSG_SPACE(sizeof fd);
        header = CMSG_FIRSTHDR(&message);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN(sizeof fd);
        memcpy(CMSG_DATA(header), &fd, sizeof fd);
    }
    do
        sent = sendmsg(socket, &message, MSG_NOSIGNAL);
    while (sent < 0 && errno == EINTR);
    return sent < 0 ? -1 : 0;
}

/* The first descriptor of a message; closes the others. */
static int take_first(struct cmsghdr *header)
{
    size_t n = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    int fds[sizeof(union control_buffer) / sizeof(int)];

    memcpy(fds, CMSG_DATA(header), n * sizeof(int));
    for (size_t i = 1; i < n; i++)
        close(fds[i]);
    return fds[0];
}

ssize_t channel_receive_from(int socket, struct frame *frame, int *fd, pid_t *sender)
{
    struct iovec part = {.iov_base = frame, .iov_len = sizeof *frame};
    union control_buffer control;
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof control.bytes};
    ssize_t received;

    *fd = -1;
    *sender = 0;
    do
        received = recvmsg(socket, &message, MSG_CMSG_CLOEXEC | MSG_TRUNC);
    while (received < 0 && errno == EINTR);
    if (received < 0)
        return -1;
    for (struct cmsghdr *h = CMSG_FIRSTHDR(&message); h; h = CMSG_NXTHDR(&message, h)) {
        if (h->cmsg_level != SOL_SOCKET)
            continue;
        if (h->cmsg_type == SCM_RIGHTS)
            *fd = take_first(h);
        if (h->cmsg_type == SCM_CREDENTIALS) {
            struct ucred credentials;

            memcpy(&credentials, CMSG_DATA(h), sizeof credentials);
            *sender = credentials.pid;
        }
    }
    return received;
}

ssize_t channel_receive(int socket, struct frame *frame, int *fd)
{
    pid_t sender;

    return channel_receive_from(socket, frame, fd, &sender);
}
