"""Sandboxes of kind uid: each has its own uid, inside a container that supplies the rest.

They have no capabilities and no_new_privs.  Landlock lets them read the system and their mounts,
and write to their own temporary directory and to /dev/shm and /dev/mqueue, which all of them share.
What they leave behind is swept as their uid.
"""

import ctypes
import functools
import os
import select
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from labkit.errors import GraderError
from labkit.sandbox import seccomp, uids
from labkit.sandbox.interface import END_SECONDS, Job, Kind, Mount, Sandbox
from labkit.sandbox.launcher import (
    DEVICES,
    LACKING,
    identity_options,
    keep_options,
    launcher,
    limit_options,
    path_options,
)
from labkit.sandbox.process import ENVIRONMENT, bytes_fd, kill_process, start_process

SHARED_DIRECTORIES: Final = ("/tmp", "/var/tmp", "/dev/shm", "/dev/mqueue", "/run/lock")
REMOVE: Final = 'chmod -R u+rwx -- "$@"; rm -rf -- "$@"'
SYSTEM_DIRECTORIES: Final = (*("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/libx32"),)
SYSTEM_FILES: Final = (
    *("/etc/ld.so.cache", "/etc/alternatives", "/etc/nsswitch.conf"),
    *("/etc/passwd", "/etc/group", "/etc/localtime"),
)
QUEUES: Final = "/dev/mqueue"
MOUNT_QUEUES: Final = f"mkdir -p {QUEUES} && mount -t mqueue none {QUEUES}"
MAX_MESSAGE_BYTES: Final = 4096  # of the launcher
LACK_SECONDS: Final = 5.0  # to wait when no sandbox of this process could have used up a resource
LACK_POLL_SECONDS: Final = 0.1
START_OF_ARGUMENTS: Final = 45  # fields of /proc/PID/stat behind the name: arg_start, arg_end


class Uid:
    """Sandboxes that each have their own uid."""

    name: Kind = "uid"
    shares_objects = False  # all are visible, but their uid tells whose they are

    def __init__(self) -> None:
        self.live = 0  # sandboxes of this process
        self.changed = threading.Condition()

    def path_inside(self, path: Path, mounts: Sequence[Mount]) -> str:  # noqa: ARG002  (the interface)
        """The path on the host."""
        return str(path)

    def start(self, job: Job) -> Sandbox:
        """Drops to a uid of the pool; the job gets its own temporary directory.

        If a resource is lacking, another sandbox may have used it up.  Then this one is started
        again, with another uid, as long as another lives, for at most its own deadline.
        """
        if os.geteuid() != 0:
            raise GraderError(
                "sandboxes of kind uid need root: the grader must change to other uids"
            )
        need_message_queues()
        hide_arguments()
        turn = uids.take_turn() if job.devices else None
        try:
            sandbox = self._start_when_possible(job)
        except BaseException:
            if turn is not None:
                os.close(turn)
            raise
        sandbox.turn = turn
        return sandbox

    def _start_when_possible(self, job: Job) -> Sandbox:
        """Starts the job, again if a resource is lacking."""
        started = time.monotonic()
        while True:
            live = self.live
            sandbox, message = self._start(job)
            if sandbox.process.returncode is None:
                with self.changed:
                    self.live += 1
                return sandbox
            self._remove(sandbox)
            lacking = sandbox.process.returncode == LACKING
            longest = job.limits.deadline_s if live else LACK_SECONDS
            if not lacking or time.monotonic() - started > longest:
                raise GraderError(f"a sandbox cannot be started: {message}")
            with self.changed:
                self.changed.wait(LACK_POLL_SECONDS)

    def _start(self, job: Job) -> tuple[Sandbox, str]:
        """Starts the launcher; its error and exit status if it did not execute the program."""
        program, start = seccomp.program(ptrace=job.ptrace), str(launcher())
        lease = uids.lease()
        directory = temporary_directory() / f"labkit-sandbox-{os.urandom(8).hex()}"
        filter_fd = bytes_fd(program)
        ours, theirs = os.pipe()
        argv = [start, "--first-to-die", *identity_options(lease, job.group)]
        argv += [f"--filter={filter_fd}", f"--report={theirs}", *limit_options(job.limits)]
        argv += [f"--tmp={directory}", f"--chdir={job.cwd or directory}", *_paths(job)]
        argv += [*keep_options(job.fds), "--", *map(str, job.argv)]
        env = ENVIRONMENT | {"HOME": str(directory), "TMPDIR": str(directory)}
        with os.fdopen(ours, "rb") as report:
            try:
                process, output = start_process(
                    argv, replace(job, fds=(*job.fds, filter_fd, theirs)), lease=lease, env=env
                )
            finally:
                os.close(filter_fd)
                os.close(theirs)
            message = report.read(MAX_MESSAGE_BYTES).decode(errors="replace").strip()
        if message:
            process.wait()  # the launcher has ended
        return Sandbox(process=process, output=output, lease=lease, kind=self), message

    def _remove(self, sandbox: Sandbox) -> None:
        """Removes a sandbox that did not start; it may have created its directory."""
        os.close(sandbox.output)
        self._sweep(_uid(sandbox))
        if sandbox.lease:
            sandbox.lease.release()

    def kill(self, sandbox: Sandbox) -> None:
        """Kills every process of the sandbox's uid."""
        uids.kill_all(_uid(sandbox))
        kill_process(sandbox.pid)

    def sweep(self, sandbox: Sandbox) -> None:
        """As the sandbox's uid: kills all processes, then removes files and System V objects."""
        try:
            self.kill(sandbox)
            self._sweep(_uid(sandbox))
        finally:
            if sandbox.turn is not None:
                os.close(sandbox.turn)
            with self.changed:
                self.live -= 1
                self.changed.notify_all()

    def _sweep(self, uid: int) -> None:
        directories = {*SHARED_DIRECTORIES, str(temporary_directory())}
        find = ["find", *(f for f in sorted(directories) if Path(f).is_dir())]
        find += ["-xdev", "-mindepth", "1", "-user", str(uid)]
        find += ["-prune", "-exec", "sh", "-c", REMOVE, "sh", "{}", "+"]
        not_below_others = ["-o", "-type", "d", "!", "-perm", "-o+w", "-prune"]
        _wait_until_gone(uid)
        _as_uid(uid, [*find, *not_below_others])
        for kind, option in (("shm", "-m"), ("msg", "-q"), ("sem", "-s")):
            chosen = [argument for i in _sysv_objects(kind, uid) for argument in (option, i)]
            if chosen:
                _as_uid(uid, ["ipcrm", *chosen])


def temporary_directory() -> Path:
    """Where sandboxes get their directories; a file system of its own is best."""
    return Path(os.environ.get("LABKIT_SANDBOX_TMP") or tempfile.gettempdir())


def need_message_queues() -> None:
    """Mounts /dev/mqueue if it is not mounted; GraderError where that is not permitted.

    Without it the queues of a submission could be neither used nor seen nor removed.
    """
    if os.path.ismount(QUEUES):
        return
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        Path(QUEUES).mkdir(exist_ok=True)
    except OSError as error:
        reason = str(error)
    else:
        if libc.mount(b"none", QUEUES.encode(), b"mqueue", ctypes.c_ulong(0), None) == 0:
            return
        reason = os.strerror(ctypes.get_errno())
    raise GraderError(f"{QUEUES} is not mounted, and mounting it failed ({reason}): {MOUNT_QUEUES}")


@functools.cache
def hide_arguments() -> None:
    """Overwrites this process's arguments: every sandbox can read /proc/PID/cmdline."""
    stat = Path("/proc/self/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    start, end = map(int, stat[START_OF_ARGUMENTS : START_OF_ARGUMENTS + 2])
    ctypes.memset(start, 0, end - start)
    ctypes.memmove(start, b"labkit", min(len(b"labkit"), end - start))


def system_paths() -> tuple[str, ...]:
    """The parts of the system that every sandbox may read."""
    return tuple(p for p in (*SYSTEM_DIRECTORIES, *SYSTEM_FILES) if Path(p).exists())


def _paths(job: Job) -> list[str]:
    """What the sandbox may open."""
    readable = [*system_paths(), *(str(mount.host) for mount in job.mounts)]
    if not job.devices:
        return path_options(readable, ["/dev/null"])
    return [
        "--probe",
        *path_options([*readable, "/proc"], [d for d in DEVICES if Path(d).exists()]),
    ]


def _uid(sandbox: Sandbox) -> int:
    if sandbox.lease is None:
        raise GraderError("the sandbox of kind uid has no uid")
    return sandbox.lease.uid


def _as_uid(uid: int, argv: list[str]) -> None:
    """Runs a command as a sandbox's uid; its output and status are ignored."""
    subprocess.call(
        [str(launcher()), "--filter=none", f"--uid={uid}", f"--gid={uid}", "--", *argv],
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
            found.append(row["msqid" if kind == "msg" else f"{kind}id"])
    return found
