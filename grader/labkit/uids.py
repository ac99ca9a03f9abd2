"""User ids for boxes: a pool, and a lease so that no two boxes share one.

The kernel's uid 0 has no process limit, and RLIMIT_NPROC counts per uid, so
a grader that runs as root gives every box a uid of its own.  A lease is a
locked file: it ends with its holder, however that one dies.
"""

import fcntl
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from labkit.errors import GraderError

POOL: Final = range(61000, 62000)
LOCK_FOLDERS: Final = (Path("/run/labkit"), Path("/tmp/.labkit-uids"))


@dataclass(frozen=True)
class Lease:
    """The right to use a uid until release()."""

    uid: int
    fd: int

    def release(self) -> None:
        """Lets the next box have the uid."""
        os.close(self.fd)


def lease() -> Lease:
    """A uid that no other box of this machine has now."""
    folder = _lock_folder()
    start = int.from_bytes(os.urandom(2), "big")  # a used uid rests for a while
    for i in range(len(POOL)):
        uid = POOL[(start + i) % len(POOL)]
        fd = os.open(
            folder / str(uid), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
        )
        with suppress(BlockingIOError):
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return Lease(uid=uid, fd=fd)
        os.close(fd)
    raise GraderError(f"all {len(POOL)} uids for boxes are in use (locks in {folder})")


def _lock_folder() -> Path:
    problems = []
    for folder in LOCK_FOLDERS:
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
        problems.append(f"{folder} is not a folder of root's own")
    raise GraderError("no place for the locks of box uids: " + "; ".join(problems))
