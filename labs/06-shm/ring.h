/* ring.h - a bounded ring of messages between processes that know its name.
 *
 * The contract of lab 06.  ring.c implements it twice, over POSIX shared
 * memory and over System V's; partner of both is a process that has nothing
 * in common with this one but the ring's name.
 *
 *     struct ring *r = ring_open("news", RING_POSIX, 4096, RING_CREATE);
 *     ring_put(r, "hello", 5, -1);
 *     ring_close(r);                       ... in another process:
 *     r = ring_open("news", RING_POSIX, 4096, 0);
 *     len = ring_get(r, buf, sizeof(buf), -1);
 *
 * For all of it:
 *   - int functions give 0, or -1 and errno; ring_open NULL and errno.  errno
 *     is said only after a failure.  Errors of the system that no comment
 *     here names (ENOSPC, ENOMEM, EMFILE, EACCES, ...) are passed on; a call
 *     that failed has changed nothing and leaves nothing behind.
 *   - Sizes are bytes.  Timeouts are milliseconds: 0 tries and does not wait,
 *     -1 waits for ever, less than -1 is EINVAL.  A timeout counts the wait
 *     for room or for a message, never the moment in which another process
 *     has the ring locked.  No call ends with ETIMEDOUT before its time.
 *   - To wait is to sleep in the kernel until somebody wakes the process.  A
 *     loop that looks again and again is not waiting, with usleep() in it or
 *     without.  That goes for messages, room and a lock that another holds.
 *     Two exceptions: a ring made with RING_SPIN, and ring_open while another
 *     process is still making the ring.
 *   - A signal (EINTR) never ends a wait; the wait goes on.
 *   - One struct ring is used by one thread at a time.  A process may open a
 *     ring more than once, and each of its threads may use one of its own
 *     (threads are not tested).  After fork() a struct ring belongs to the
 *     parent; the child opens the ring anew.
 */
#ifndef RING_H
#define RING_H

#include <stddef.h>
#include <stdint.h>
#include <sys/ipc.h>
#include <sys/types.h>

struct ring; /* this process's end of a ring; ring_open to ring_close */

enum { RING_POSIX = 1, RING_SYSV = 2 };

/* A name has 1 to RING_NAME_MAX bytes, none of them '/', and is neither "." nor
 * "..".  The two back ends have a space of names each. */
#define RING_NAME_MAX 63

/* A capacity is a multiple of 8 in these bounds. */
#define RING_CAPACITY_MIN ((size_t)16)
#define RING_CAPACITY_MAX ((size_t)1 << 30)

/* What a message of len bytes takes of the capacity, exactly: 8 bytes, and
 * its length rounded up to a multiple of 8.  A ring of 64 bytes holds 8 empty
 * messages, or 4 of 1 to 8 bytes, or one of 49 to 56, and no longer one.
 *
 *     capacity 64:  | 8 + 8 | 8 + 8 | 8 + 8 | 8 + 8 |     4 x "hello"
 *                   | 8 + 16        | 8 + 32        |     9 and 30 bytes
 */
#define RING_COST(len) ((size_t)8 + (((size_t)(len) + 7) & ~(size_t)7))

#define RING_CREATE 1u /* make the ring if there is none */
#define RING_EXCL 2u   /* with RING_CREATE: there must be none */
#define RING_SPSC 4u   /* at most one process puts and at most one gets */
#define RING_SPIN 8u   /* a wait on this ring may burn CPU time */

/* Opens the ring of that name, as RING_POSIX or RING_SYSV.
 *
 * RING_POSIX: its memory is the POSIX shared memory object "/NAME".
 * RING_SYSV:  its memory is the System V segment of key ring_key(NAME).
 * Both with mode 0600.  What else a ring needs (semaphores, a lock file) is
 * up to you, carries the ring's name or key in its own if it has one, and goes
 * with it.  A lock file lies in /dev/shm (shm_open), not in /tmp, where no
 * test would see that it is left.
 *
 * Without RING_CREATE the ring must exist.  With it the ring is made, empty,
 * if it does not exist, and opened as it is, messages and all, if it does.
 * RING_SPSC and RING_SPIN belong to the ring: who opens it gives those that
 * its maker gave.  RING_SPSC is the caller's promise; so are several putters
 * one after the other, each gone before the next.
 *
 * Any number of processes may call this at the same time.  Exactly one makes
 * the ring, and nobody gets hold of one that is not finished: who finds a
 * ring that is still being made waits until it is ready (and may give up with
 * ETIMEDOUT after a second: its maker may have died, or it is no ring).  If
 * the maker fails, those who wait do not wait for it: with RING_CREATE one of
 * them makes the ring, without it they give ENOENT, or ETIMEDOUT within about
 * a second.
 *
 * EINVAL        backend is neither; name is NULL, empty, "." or "..", or
 *               holds '/';
 *               capacity_bytes is out of bounds or no multiple of 8; an
 *               unknown flag; RING_EXCL without RING_CREATE
 * ENAMETOOLONG  name has more than RING_NAME_MAX bytes
 *               (the two above are judged before the system is asked)
 * ENOENT        there is no such ring, and no RING_CREATE
 * EEXIST        there is one, and RING_EXCL; or, RING_SYSV, whatever the
 *               flags: a ring of another name has the same key
 * EINVAL        the ring has another capacity, or was made with other
 *               RING_SPSC or RING_SPIN */
struct ring *ring_open(const char *name, int backend, size_t capacity_bytes, unsigned flags);

/* Appends one message; its bytes are copied before the call returns.  Waits
 * while there is less room than RING_COST(len), and returns as soon as there
 * is enough for this message, whoever else is waiting for more.  buf may be
 * NULL if len is 0; empty messages are messages.
 *
 * EMSGSIZE   its cost is more than the capacity (said at once; len may be
 *            any number, SIZE_MAX too)
 * ETIMEDOUT  no room within timeout_ms (0: no room now) */
int ring_put(struct ring *ring, const void *buf, size_t len, int timeout_ms);

/* Takes the oldest message into buf and gives its length in bytes, or -1.
 * Bytes of buf behind the message stay as they were.
 *
 * EMSGSIZE   the oldest message is longer than size.  It stays the oldest,
 *            others who wait for a message can have it, and buf is not touched
 * ETIMEDOUT  no message within timeout_ms (0: none now) */
ssize_t ring_get(struct ring *ring, void *buf, size_t size, int timeout_ms);

/* Ends this process's use of the ring and gives back all that it took:
 * memory, mapping, descriptors.  The ring and its messages stay.  Closing
 * NULL does nothing. */
int ring_close(struct ring *ring);

/* Removes the ring's name, and the ring as soon as nobody has it open.  From
 * then on the name is free: ENOENT without RING_CREATE, and a new and empty
 * ring with it.  Processes that have the old ring open go on putting and
 * getting until they close it; they do not meet those of the new one.  Who is
 * in ring_open meanwhile gets the old ring, or what he would get after it
 * (ENOENT, or a new ring with RING_CREATE).  After ring_destroy and the last
 * ring_close nothing of the ring is left in the system.  (What is left when a
 * process dies with a destroyed ring open is not tested.)
 *
 * EINVAL, ENAMETOOLONG  as for ring_open
 * ENOENT                there is no such ring; RING_SYSV: also if a ring of
 *                       another name has the key (which stays) */
int ring_destroy(const char *name, int backend);

/* Death.  A process can be killed (SIGKILL) at any moment; tested are these:
 *   - while it runs code of its own, with rings open: the ring stays, with
 *     all its messages, and is used, opened and destroyed as before;
 *   - in the middle of copying from or to the caller's buffer, in ring_put or
 *     ring_get, whatever it has locked then.  The others go on: those that
 *     wait for the lock at that moment, those that wait for a message or for
 *     room, and those that come later; and that each time anew.  All messages
 *     put before are there, in order.  The message in the dead process's hands
 *     is there whole or not at all: never half, never twice.
 * Not tested: death asleep in ring_put or ring_get, and death in ring_open.
 *
 * Nor are these tested, and they hold all the same: that the mode of semaphores
 * and lock files is no wider than 0600; that a timeout runs on when somebody
 * sets the clock (CLOCK_MONOTONIC), and does not begin anew with each wake-up;
 * that a wait for the lock sleeps; what happens to those who wait for a maker
 * that fails.
 */

/* The System V key of a name: h = 31 * h + byte over its bytes, from 0, in 32
 * bits; then without the topmost bit; 1 instead of 0, which is IPC_PRIVATE.
 * So "Aa" and "BB" have the same key: the segment must know its name. */
static inline key_t ring_key(const char *name)
{
    uint32_t h = 0;

    while (*name != '\0')
        h = 31 * h + (unsigned char)*name++;
    h &= 0x7fffffff;
    return h != 0 ? (key_t)h : 1;
}

#endif
