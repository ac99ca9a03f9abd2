"""A pool of uids for sandboxes; a lease ensures that no two sandboxes share one.

The kernel does not limit the processes of uid 0, and RLIMIT_NPROC counts per uid.  So a grader that
runs as root gives every sandbox its own uid.  A lease is a locked file: it ends with the process
that has locked it.
"""

import fcntl
import os
import signal
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from labkit.errors import GraderError

POOL: Final = range(61000, 62000)
KILLERS: Final = range(62000, 63000)  # one for each uid of the pool; see kill_all()
LOCK_DIRECTORIES: Final = (Path("/run/labkit"), Path("/tmp/.labkit-uids"))


@dataclass(frozen=True)
class Lease:
    """The right to use a uid until release()."""

    uid: int
    fd: int

    def release(self) -> None:
        """Returns the uid to the pool."""
        os.close(self.fd)


def lease() -> Lease:
    """A uid that no other sandbox on this machine uses."""
    folder = _lock_folder()
    start = int.from_bytes(os.urandom(2), "big")  # a released uid is not reused at once
    for i in range(len(POOL)):
        uid = POOL[(start + i) % len(POOL)]
        fd = os.open(
            folder / str(uid), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
        )
        with suppress(BlockingIOError):
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return Lease(uid=uid, fd=fd)
        os.close(fd)
    raise GraderError(f"all {len(POOL)} uids for sandboxes are in use (locks in {folder})")


def kill_all(uid: int) -> None:
    """Kills every process of a uid of the pool with one kill(-1).

    These processes may try to kill the killer first, but a process can only signal processes
    whose real or saved uid is its own.  The killer has their uid as its effective uid only; that
    permits it to signal them.
    """
    killer = KILLERS[POOL.index(uid)]
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
        ):
            return folder
        problems.append(f"{folder} is not a directory that only root can use")
    raise GraderError("no directory for the locks of sandbox uids: " + "; ".join(problems))
