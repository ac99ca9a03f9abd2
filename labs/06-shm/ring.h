/* ring.h - a bounded buffer of messages between unrelated processes.
 *
 * The contract of lab 06.  ring.c implements it twice: with POSIX shared
 * memory and with System V shared memory.  The processes that use a ring share
 * nothing but its name.
 *
 *     struct ring *r = ring_open("news", RING_POSIX, 4096, RING_CREATE);
 *     ring_put(r, "hello", 5, -1);
 *     ring_close(r);                       ... in another process:
 *     r = ring_open("news", RING_POSIX, 4096, 0);
 *     len = ring_get(r, buf, sizeof(buf), -1);
 *
 * For all functions:
 *   - int functions return 0, or -1 and set errno; ring_open returns NULL and
 *     sets errno.  errno has a meaning after a failure only.  Errors of system
 *     calls that are not named here (ENOSPC, ENOMEM, EMFILE, EACCES, ...) are
 *     passed on.  A call that failed has changed nothing, leaves nothing behind
 *     (no object, segment, semaphore, lock file, descriptor or mapping), and
 *     can be repeated.
 *   - Sizes are in bytes.  Timeouts are in milliseconds: 0 never waits, -1
 *     waits for ever, less than -1 is EINVAL.  A timeout covers the wait for
 *     space or for a message, not the short time for which another process
 *     holds the lock: a timeout of 0 does not fail because the ring is locked.
 *     No call ends with ETIMEDOUT early.
 *   - To wait means to sleep in the kernel until another process wakes the
 *     caller.  Polling, with usleep() or without, and spinning (busy waiting)
 *     are not allowed, whether the wait is for a message, for space or for a
 *     lock.  Two exceptions: a ring with RING_SPIN, and ring_open while another
 *     process is still creating the ring.
 *   - A waiting call does not block calls made by other processes.
 *   - Signals do not end a wait: after an interrupted system call (EINTR), or
 *     after SIGSTOP and SIGCONT, it continues.
 *   - A struct ring is used by one thread at a time.  A process may open a ring
 *     more than once, and each of its threads may use a struct ring of its own
 *     (threads are not tested).  After fork() a struct ring belongs to the
 *     parent; the child opens the ring anew.
 */
#ifndef RING_H
#define RING_H

#include <stddef.h>
#include <stdint.h>
#include <sys/ipc.h>
#include <sys/types.h>

struct ring; /* one process's handle of a ring, from ring_open to ring_close */

enum { RING_POSIX = 1, RING_SYSV = 2 };

/* A name has 1 to RING_NAME_MAX bytes, contains no '/', and is neither "." nor
 * "..".  It need not outlive the call that it is passed to.  The two back ends have separate name spaces: a POSIX ring and a
 * System V ring of the same name are two rings. */
#define RING_NAME_MAX 63

/* A capacity is a multiple of 8 between these bounds, both included. */
#define RING_CAPACITY_MIN ((size_t)16)
#define RING_CAPACITY_MAX ((size_t)1 << 30)

/* The bytes of the capacity that a message of len bytes takes, exactly: 8 for
 * its length, and len with padding up to a multiple of 8.  A ring of 64 bytes
 * holds 8 empty messages, or 4 of 1 to 8 bytes, or one of 49 to 56 bytes, and
 * no longer one.
 *
 *     capacity 64:  | 8 + 8 | 8 + 8 | 8 + 8 | 8 + 8 |     4 x "hello"
 *                   | 8 + 16        | 8 + 32        |     9 and 30 bytes
 */
#define RING_COST(len) ((size_t)8 + (((size_t)(len) + 7) & ~(size_t)7))

#define RING_CREATE 1u /* create the ring if it does not exist */
#define RING_EXCL 2u   /* with RING_CREATE: fail if the ring exists */
#define RING_SPSC 4u   /* at most one producer and one consumer at a time */
#define RING_SPIN 8u   /* waiting calls may spin (busy waiting) */

/* Opens the ring of that name with the back end RING_POSIX or RING_SYSV.
 *
 * RING_POSIX: its memory is the POSIX shared memory object "/NAME".
 * RING_SYSV:  its memory is the System V segment with the key ring_key(NAME).
 * Both have mode 0600.  Whatever else a ring needs (semaphores, a lock file) is
 * up to you; it contains the ring's name or key in its own name, if it has one,
 * and is removed with the ring.  A lock file is created in /dev/shm (shm_open),
 * not in /tmp, where the tests would not find it.
 *
 * Without RING_CREATE the ring must exist.  With RING_CREATE a ring that does
 * not exist is created, empty; an existing ring is opened as it is, with its
 * messages.  RING_SPSC and RING_SPIN are properties of the ring: every process
 * opens it with those that its creator used.  With them everything else in this
 * contract holds as well.  RING_SPSC is the caller's promise; a producer or
 * consumer that has exited or been killed may be replaced by another one.
 *
 * Any number of processes may call this at the same time.  Exactly one of them
 * creates the ring, all of them get the same ring, and none gets it before it
 * is initialised: ring_open waits while the creator initialises the ring.  (It
 * may fail with ETIMEDOUT after a second: the creator may have died, or the
 * memory is no ring.)  Attempts to open a ring that is not ready leave nothing
 * mapped, whether ring_open succeeds in the end or not.  If the creator fails,
 * the processes that wait for it with RING_CREATE create the ring; those without
 * it get ENOENT, or ETIMEDOUT within about a second.
 *
 * EINVAL        backend is neither of the two; name is NULL, empty, "." or
 *               "..", or contains '/'; capacity_bytes is out of bounds or no
 *               multiple of 8; an unknown flag; RING_EXCL without RING_CREATE
 * ENAMETOOLONG  name has more than RING_NAME_MAX bytes
 *               (these two are checked before any system call)
 * ENOENT        the ring does not exist, and RING_CREATE is not set
 * EEXIST        the ring exists, and RING_EXCL is set; or, with RING_SYSV and
 *               whatever the flags and the capacity, a ring of another name
 *               has the same key
 * EINVAL        the ring has a different capacity, or different RING_SPSC or
 *               RING_SPIN flags */
struct ring *ring_open(const char *name, int backend, size_t capacity_bytes, unsigned flags);

/* Appends one message, which is copied before the call returns.  Waits while
 * less than RING_COST(len) bytes are free, and returns as soon as there is
 * enough space for this message, even if other producers wait for more.
 * Concurrent messages do not mix.  buf may be NULL if len is 0; an empty
 * message is a message.
 *
 * EMSGSIZE   the message costs more than the capacity (at once, and for any
 *            len up to SIZE_MAX)
 * ETIMEDOUT  not enough space within timeout_ms (0: not now) */
int ring_put(struct ring *ring, const void *buf, size_t len, int timeout_ms);

/* Removes the oldest message, copies it to buf and returns its length in
 * bytes, or -1.  Every message is returned exactly once, and to every consumer
 * the messages of one producer in the order in which they were put.  Its space
 * is not reused before it is copied completely.  Bytes of buf beyond the
 * message do not change.
 *
 * EMSGSIZE   the oldest message is longer than size: it stays the oldest, is
 *            available to other waiting consumers, and buf does not change
 * ETIMEDOUT  no message within timeout_ms (0: none now) */
ssize_t ring_get(struct ring *ring, void *buf, size_t size, int timeout_ms);

/* Ends this process's use of the ring and releases all that ring_open
 * acquired: memory, the whole mapping, descriptors.  The ring and its messages
 * stay.  ring_close(NULL) does nothing. */
int ring_close(struct ring *ring);

/* Removes the ring's name at once, and the ring itself as soon as no process
 * has it open.  From then on the name is free: opening it fails with ENOENT, or
 * creates a new, empty ring of any capacity with RING_CREATE.  Processes that
 * have the old ring open can keep using it until they close it; they never
 * reach the new one.  A ring_open that runs at the same time gets the old ring,
 * or what it would get afterwards (ENOENT, or a new ring with RING_CREATE).
 * After ring_destroy and the last ring_close nothing of the ring is left in the
 * system.  (What is left when a process dies with a destroyed ring open is not
 * tested.)
 *
 * EINVAL, ENAMETOOLONG  as for ring_open
 * ENOENT                the ring does not exist; with RING_SYSV also if a ring
 *                       of another name has the key (that ring stays) */
int ring_destroy(const char *name, int backend);

/* Death.  A process can be killed (SIGKILL) at any moment.  Tested are:
 *   - death in its own code, with rings open: the ring stays, with all its
 *     messages, and can be used, opened and destroyed as before;
 *   - death in the middle of copying from or to the caller's buffer, in
 *     ring_put or ring_get, with whatever it has locked.  The other processes
 *     continue: those that wait for the lock at that moment, those that wait
 *     for a message or for space, and those that call later; and this every
 *     time that a process dies.  All messages that were put before are there,
 *     in order.  The message that the dead process was putting does not appear;
 *     the message that it was getting is still there, complete, or it is gone
 *     and its space is free.  No message appears in part, and none twice.
 * Not tested: death while asleep in ring_put or ring_get, and death in
 * ring_open.
 *
 * Not tested either, but part of the contract: the mode of semaphores and lock
 * files is no wider than 0600; a timeout is not affected by setting the clock
 * (CLOCK_MONOTONIC) and does not start again with each wake-up; a wait for the
 * lock sleeps; the processes that wait for a creator that fails (see
 * ring_open).
 */

/* The System V key of a name: h = 31 * h + byte over its bytes, from 0, in 32
 * bits; then without the topmost bit; 1 instead of 0, which is IPC_PRIVATE.
 * Different names can have the same key ("Aa" and "BB"), so the segment must
 * contain its name. */
static inline key_t ring_key(const char *name)
{
    uint32_t h = 0;

    while (*name != '\0')
        h = 31 * h + (unsigned char)*name++;
    h &= 0x7fffffff;
    return h != 0 ? (key_t)h : 1;
}

#endif
