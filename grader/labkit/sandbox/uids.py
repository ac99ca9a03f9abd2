"""A pool of uids for sandboxes; a lease ensures that no two sandboxes share one.

The kernel does not limit the processes of uid 0, and RLIMIT_NPROC counts per uid.  So a grader that
runs as root gives every sandbox its own uid.  A lease is a locked file: it ends with the process
that has locked it.  That works on one machine; the containers of a machine, which share its count
of processes but not its files, take different ranges of uids.
"""

import fcntl
import functools
import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from labkit.errors import GraderError, UsageError

VARIABLE: Final = "LABKIT_UIDS"  # FIRST-LAST
MIN_UIDS: Final = 32
HOST_RANGE: Final = range(61000, 63000)
# Of containers: above the uids of users and directory services, below those that are negative
# when taken for an int.
CONTAINER_FIRST: Final = 1_900_000_000
CONTAINERS: Final = 100_000
INIT_PID_NAMESPACE: Final = 0xEFFFFFFC  # the inode of the host's, linux/proc_ns.h
ALL_UIDS: Final = 0xFFFFFFFF  # a mapping of this length maps every uid to itself
LOCK_DIRECTORIES: Final = (Path("/run/labkit"), Path("/tmp/.labkit-uids"))


@dataclass(frozen=True)
class Lease:
    """The right to use a uid until release()."""

    uid: int
    fd: int

    def release(self) -> None:
        """Returns the uid to the pool."""
        os.close(self.fd)


def pool() -> range:
    """The uids for sandboxes; as many above them are for kill_all()."""
    text = os.environ.get(VARIABLE, "")
    both = _parse(text) if text else _default(Path("/proc/self/ns/pid"), Path("/proc/self/uid_map"))
    return both[: len(both) // 2]


def _parse(text: str) -> range:
    first, _, last = text.partition("-")
    try:
        chosen = range(int(first), int(last) + 1)
    except ValueError as error:
        raise UsageError(f"{VARIABLE}={text}: expected FIRST-LAST, two uids") from error
    if chosen.start <= 0 or len(chosen) < MIN_UIDS or chosen.stop > 1 << 31:
        raise UsageError(f"{VARIABLE}={text}: at least {MIN_UIDS} uids are needed, from 1 to 2^31")
    return chosen


@functools.cache
def _default(namespace: Path, uid_map: Path) -> range:
    """The range of this host or container, whose pid namespace no other has at the same time."""
    inode = namespace.stat().st_ino
    if inode == INIT_PID_NAMESPACE or uid_map.read_text(encoding="ascii").split() != [
        *("0", "0", str(ALL_UIDS))
    ]:
        return HOST_RANGE
    first = CONTAINER_FIRST + inode % CONTAINERS * len(HOST_RANGE)
    return range(first, first + len(HOST_RANGE))


def lease() -> Lease:
    """A uid that no other sandbox on this machine uses."""
    folder, uids = _lock_folder(), pool()
    start = int.from_bytes(os.urandom(2), "big")  # a released uid is not reused at once
    for i in range(len(uids)):
        uid = uids[(start + i) % len(uids)]
        fd = os.open(
            folder / str(uid), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
        )
        with suppress(BlockingIOError):
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return Lease(uid=uid, fd=fd)
        os.close(fd)
    raise GraderError(f"all {len(uids)} uids for sandboxes are in use (locks in {folder})")


def take_turn() -> int:
    """Waits until no other grader of this machine has the turn; closing the descriptor ends it.

    Sandboxes of kind uid see the same shared memory and queues.  Names that submissions choose
    would collide there, so one of them runs at a time.
    """
    fd = os.open(
        _lock_folder() / "turn", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
    )
    fcntl.flock(fd, fcntl.LOCK_EX)
    return fd


def kill_all(uid: int) -> None:
    """Kills every process of a uid of the pool with one kill(-1).

    These processes may try to kill the killer first, but a process can only signal processes
    whose real or saved uid is its own.  The killer has their uid as its effective uid only; that
    permits it to signal them.
    """
    killer = uid + len(pool())
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            os.setgroups([])
            os.setresgid(killer, killer, killer)
            os.setresuid(killer, uid, killer)
            with suppress(ProcessLookupError):
                os.kill(-1, signal.SIGKILL)
            status = 0
        finally:
            os._exit(status)
    if os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]):
        raise GraderError(f"cannot change to uid {killer} to kill the processes of uid {uid}")


def _lock_folder() -> Path:
    problems = []
    for folder in LOCK_DIRECTORIES:
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            status = folder.stat(follow_symlinks=False)
        except OSError as error:
            problems.append(str(error))
            continue
        if (
            status.st_uid == os.geteuid()
            and status.st_mode & 0o077 == 0
            and not folder.is_symlink()
            and os.access(folder, os.W_OK)
        ):
            return folder
        problems.append(f"{folder} is not a directory that root, and nobody else, can use")
    raise GraderError("no directory for the locks of sandbox uids: " + "; ".join(problems))
