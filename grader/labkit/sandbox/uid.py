"""Sandboxes of kind uid: each has its own uid, inside a container that supplies the rest.

They have no capabilities and no_new_privs, and are swept as their uid afterwards.
"""

import os
import select
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from labkit.errors import GraderError
from labkit.sandbox import uids
from labkit.sandbox.interface import END_SECONDS, Job, Kind, Mount, Sandbox
from labkit.sandbox.process import (
    ENVIRONMENT,
    drop_privileges,
    kill_process,
    set_limits,
    start_process,
)

SHARED_DIRECTORIES: Final = ("/tmp", "/var/tmp", "/dev/shm", "/dev/mqueue", "/run/lock")
ENTER: Final = 'umask 077 && mkdir "$TMPDIR" && cd "$1" && shift && umask 022 && exec "$@"'
REMOVE: Final = 'chmod -R u+rwx -- "$@"; rm -rf -- "$@"'


class Uid:
    """Sandboxes that each have their own uid."""

    name: Kind = "uid"
    shares_objects = False  # all are visible, but their uid tells whose they are

    def path_inside(self, path: Path, mounts: Sequence[Mount]) -> str:  # noqa: ARG002  (the interface)
        """The path on the host."""
        return str(path)

    def start(self, job: Job) -> Sandbox:
        """Drops to a uid of the pool; the job gets its own temporary directory."""
        if os.geteuid() != 0:
            raise GraderError(
                "sandboxes of kind uid need root: the grader must change to other uids"
            )
        lease = uids.lease()
        directory = Path(tempfile.gettempdir(), f"labkit-sandbox-{os.urandom(8).hex()}")
        argv = [*drop_privileges(lease, job.group), *set_limits(job.limits)]
        argv += ["sh", "-c", ENTER, "sh", str(job.cwd or directory), *map(str, job.argv)]
        env = ENVIRONMENT | {"HOME": str(directory), "TMPDIR": str(directory)}
        process, output = start_process(argv, job, lease=lease, env=env)
        return Sandbox(process=process, output=output, lease=lease, kind=self)

    def kill(self, sandbox: Sandbox) -> None:
        """Kills every process of the sandbox's uid."""
        uids.kill_all(_uid(sandbox))
        kill_process(sandbox.pid)

    def sweep(self, sandbox: Sandbox) -> None:
        """As the sandbox's uid: kills all processes, then removes files and System V objects."""
        uid = _uid(sandbox)
        directories = [f for f in SHARED_DIRECTORIES if Path(f).is_dir()]
        find = ["find", *directories, "-xdev", "-mindepth", "1", "-user", str(uid)]
        find += ["-prune", "-exec", "sh", "-c", REMOVE, "sh", "{}", "+"]
        find += [
            "-o",
            "-type",
            "d",
            "!",
            "-perm",
            "-o+w",
            "-prune",
        ]  # not below others' directories
        self.kill(sandbox)
        _wait_until_gone(uid)
        _as_uid(uid, find)
        for kind, option in (("shm", "-m"), ("msg", "-q"), ("sem", "-s")):
            chosen = [argument for i in _sysv_objects(kind, uid) for argument in (option, i)]
            if chosen:
                _as_uid(uid, ["ipcrm", *chosen])


def _uid(sandbox: Sandbox) -> int:
    if sandbox.lease is None:
        raise GraderError("the sandbox of kind uid has no uid")
    return sandbox.lease.uid


def _as_uid(uid: int, argv: list[str]) -> None:
    """Runs a command as a sandbox's uid; its output and status are ignored."""
    subprocess.call(
        [*drop_privileges(uids.Lease(uid=uid, fd=-1)), *argv],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=ENVIRONMENT,
    )


def _wait_until_gone(uid: int) -> None:
    """Waits for killed processes to end; until then they count against the uid's limit."""
    deadline = time.monotonic() + END_SECONDS
    while alive := [pid for pid in _processes() if _is_alive(pid, uid)]:
        try:
            pidfd = os.pidfd_open(alive[0])
        except ProcessLookupError:
            continue
        try:
            ended = select.select([pidfd], [], [], max(0.0, deadline - time.monotonic()))[0]
        finally:
            os.close(pidfd)
        if not ended:
            raise GraderError(f"process {alive[0]} of a sandbox's uid cannot be killed")


def _processes() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdigit())  # noqa: PTH208


def _is_alive(pid: int, uid: int) -> bool:
    """Whether a process has the uid and is not a zombie; root owns a fork server's /proc entry."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return f"\nUid:\t{uid}\t" in status and "\nState:\tZ" not in status


def _sysv_objects(kind: str, uid: int) -> list[str]:
    """Identifiers of the System V objects that a uid owns or created."""
    try:
        lines = Path(f"/proc/sysvipc/{kind}").read_text(encoding="ascii").splitlines()
    except FileNotFoundError:
        return []
    head = lines[0].split()
    found = []
    for line in lines[1:]:
        row = dict(zip(head, line.split(), strict=False))
        if str(uid) in (row["uid"], row["cuid"]):
            found.append(row[f"{kind}id"])
    return found
