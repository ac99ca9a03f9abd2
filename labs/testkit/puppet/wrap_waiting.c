/* wrap_waiting.c - wrappers around the calls that wait for descriptors or for a
 * signal (wrap.h).
 */
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>

#include "wrap.h"

EXPORTED_BEGIN

WRAP(FAULT_POLL, -1, int, poll, (struct pollfd * fds, nfds_t n, int timeout_ms), fds, n, timeout_ms)
WRAP(FAULT_POLL, -1, int, ppoll,
     (struct pollfd * fds, nfds_t n, const struct timespec *limit, const sigset_t *mask), fds, n,
     limit, mask)

WRAP(FAULT_SELECT, -1, int, select,
     (int n, fd_set *readable, fd_set *writable, fd_set *exceptional, struct timeval *limit), n,
     readable, writable, exceptional, limit)
WRAP(FAULT_SELECT, -1, int, pselect,
     (int n, fd_set *readable, fd_set *writable, fd_set *exceptional, const struct timespec *limit,
      const sigset_t *mask),
     n, readable, writable, exceptional, limit, mask)

WRAP(FAULT_EPOLL_WAIT, -1, int, epoll_wait,
     (int epoll, struct epoll_event *events, int max, int timeout_ms), epoll, events, max,
     timeout_ms)
WRAP(FAULT_EPOLL_WAIT, -1, int, epoll_pwait,
     (int epoll, struct epoll_event *events, int max, int timeout_ms, const sigset_t *mask), epoll,
     events, max, timeout_ms, mask)

WRAP(FAULT_SIGSUSPEND, -1, int, sigsuspend, (const sigset_t *mask), mask)

EXPORTED_END
