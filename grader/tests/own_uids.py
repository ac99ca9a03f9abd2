"""A range of uids for the sandboxes of one process, and what they leave behind.

Other graders may run on this machine, so a process that looks for leftovers uses uids of its own.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from labkit.sandbox import uids

FIRST: Final = 200_000  # above the pool of other graders
RANGES: Final = 10_000
SHARED_DIRECTORIES: Final = ("/tmp", "/var/tmp", "/dev/shm", "/dev/mqueue")
LOOKS: Final = 5  # a process that was killed takes a moment to end


def own_uids() -> str:
    """A value for the variable that sets the range (uids.VARIABLE)."""
    size = 2 * uids.MIN_UIDS
    first = FIRST + os.getpid() % RANGES * size
    return f"{first}-{first + size - 1}"


def left_behind() -> list[str]:
    """Processes, files, IPC objects and keys of the uids of this process."""
    for _ in range(LOOKS):
        if not list(_of_uids(uids.pool())):
            return []
        time.sleep(1)
    return sorted(_of_uids(uids.pool()))


def _of_uids(pool: range) -> Iterator[str]:
    for status in Path("/proc").glob("[0-9]*/status"):
        try:
            fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields["Uid"].split()[0]) in pool and not fields["State"].strip().startswith("Z"):
            yield f"process {fields['Pid'].strip()} ({fields['Name'].strip()})"
    for name in SHARED_DIRECTORIES:
        for path in Path(name).glob("*"):
            try:
                if path.stat(follow_symlinks=False).st_uid in pool:
                    yield f"file {path}"
            except FileNotFoundError:
                continue
    for kind, column in (("shm", "shmid"), ("msg", "msqid"), ("sem", "semid")):
        head, *lines = Path("/proc/sysvipc", kind).read_text().splitlines()
        for line in lines:
            row = dict(zip(head.split(), line.split(), strict=False))
            if int(row["uid"]) in pool or int(row["cuid"]) in pool:
                yield f"System V {kind} {row[column]}"
    for line in Path("/proc/key-users").read_text().splitlines():
        uid, _, counts = line.strip().partition(":")
        if int(uid) in pool and not counts.split()[1].startswith("0/"):
            yield f"keys of uid {uid}: {counts}"
