/* serve.c - receives what puppets send (serve.h).
 *
 * Theory of operation.  A puppet sends replies to requests, and questions: "may I
 * make this call to libc?" (faults.c), "what does this callback return?"
 * (callbacks.c).  Threads and forked children of a puppet ask over the same
 * socket.  Questions are answered here; all other messages go to the puppet's
 * inbox, where frames.c checks them.
 *
 * Partner: puppet/ask.c.
 */
#include "serve.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "callbacks.h"
#include "clock.h"
#include "decisions.h"
#include "failure.h"
#include "shared/channel.h"
#include "support.h"

enum { MAX_ROUNDS = 4096 };

static void keep(struct puppet *p, const struct message *m)
{
    if (p->ninbox == MAX_INBOX)
        test_fail("%s: the replies do not belong to this call", p->doing);
    p->inbox[p->ninbox++] = *m;
}

static void handle(struct puppet *p, const struct message *m)
{
    if (m->size == 0)
        p->closed = true;
    else if (m->size != sizeof m->frame || m->fd >= 0)
        keep(p, m);
    else if (m->frame.kind == FRAME_ASK)
        decisions_ask(p, m);
    else if (m->frame.kind == FRAME_CALLBACK)
        callbacks_serve(p, m);
    else
        keep(p, m);
}

/* Receives one message, if one comes within the socket's limit. */
static void receive(struct puppet *p)
{
    struct message m;

    m.size = channel_receive_from(p->socket, &m.frame, &m.fd, &m.sender);
    if (m.size < 0 && errno == ECONNRESET)
        m.size = 0;
    if (m.size < 0 && errno != EAGAIN)
        testkit_broken("cannot receive: %s", strerror(errno));
    if (m.size < 0)
        return;
    p->nreceived++;
    handle(p, &m);
}

static bool can_send(const struct puppet *p)
{
    return p->socket >= 0 && !p->closed;
}

static size_t list_sockets(struct pollfd fds[], struct puppet *of[])
{
    size_t n = 0;

    for (size_t i = 0; i < puppets_count(); i++) {
        struct puppet *p = puppets_get(i);

        if (!can_send(p))
            continue;
        fds[n] = (struct pollfd){.fd = p->socket, .events = POLLIN};
        of[n++] = p;
    }
    return n;
}

void serve(unsigned timeout_us)
{
    struct pollfd fds[MAX_PUPPETS];
    struct puppet *of[MAX_PUPPETS];
    size_t n = list_sockets(fds, of);
    uint64_t left_us = decisions_due(), wait_us = left_us < timeout_us ? left_us : timeout_us;
    struct timespec limit = {.tv_sec = wait_us / 1000000, .tv_nsec = wait_us % 1000000 * 1000};

    if (n == 1 && wait_us == LOOK_MS * 1000) { /* the socket has this limit itself */
        receive(of[0]);
        return;
    }
    if (ppoll(fds, n, &limit, NULL) <= 0)
        return;
    for (size_t i = 0; i < n; i++)
        if (fds[i].revents != 0 && can_send(of[i]))
            receive(of[i]);
}

/* A socket's queue holds some hundred messages: what had been sent before is among
 * the first ones, however many come meanwhile. */
bool has_reply(struct puppet *p)
{
    struct pollfd fds[MAX_PUPPETS];
    struct puppet *of[MAX_PUPPETS];
    unsigned rounds = 0;
    size_t n;

    do {
        serve(0);
        n = list_sockets(fds, of);
    } while (poll(fds, n, 0) > 0 && ++rounds < MAX_ROUNDS);
    return p->ninbox > 0 || p->closed;
}

struct message take_message(struct puppet *p)
{
    struct message first = {.fd = -1};

    if (p->ninbox == 0)
        return first;
    first = p->inbox[0];
    p->ninbox--;
    memmove(p->inbox, p->inbox + 1, p->ninbox * sizeof *p->inbox);
    return first;
}
