"""Boxes: where code that a student wrote is compiled and run.

One interface, three kinds.

bwrap   bubblewrap: private pid, net, ipc, mount and uts namespaces.  A grader
        that is root drops to a uid from the pool first.
uid     inside a container that supplies the rest: a uid of its own for every
        box, no capabilities, no_new_privs; swept as that uid afterwards.
none    a student's own code on their own machine: limits and a clean
        environment, no protection.

A job names files by their path on the host and lists what the box may see
(views); a bwrap box shows them elsewhere, the other kinds where they are.
Everything is decided before the first foreign instruction: limits, uid, and
no_new_privs are set between fork and exec of the job's own program.
"""

import os
import resource
import select
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal, Protocol

from labkit import seccomp, uids
from labkit.errors import GraderError
from labkit.manifest import Limits
from labkit.watch import Ended, Sink, Stop, Watch

Kind = Literal["bwrap", "uid", "none"]
KINDS: Final[tuple[Kind, ...]] = ("bwrap", "uid", "none")

ENVIRONMENT: Final = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "HOME": "/nonexistent"}
SYSTEM_FOLDERS: Final = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
SYSTEM_FILES: Final = ("/etc/ld.so.cache", "/etc/alternatives")
SHARED_FOLDERS: Final = ("/tmp", "/var/tmp", "/dev/shm", "/dev/mqueue", "/run/lock")
PASSWD: Final = b"student:x:1000:1000:student:/tmp:/bin/sh\n"
GROUP: Final = b"student:x:1000:\n"
FILTER: Final = seccomp.program()
ENTER: Final = 'umask 077 && mkdir "$TMPDIR" && cd "$1" && shift && umask 022 && exec "$@"'
FIRST_TO_DIE: Final = ("choom", "--adjust", "1000", "--")  # when memory runs out, not the grader
QUEUE_BYTES: Final = 819200  # what Linux gives every user
REMOVE: Final = 'chmod -R u+rwx -- "$@"; rm -rf -- "$@"'
END_SECONDS: Final = 5.0  # for a box that was told to end, or was killed


@dataclass(frozen=True)
class View:
    """A file or folder of the host that the box may read."""

    host: Path
    inside: str


@dataclass(frozen=True)
class Job:
    """What runs in a box.  Each Path in argv is shown by one of the views."""

    argv: tuple[str | Path, ...]
    views: tuple[View, ...]
    limits: Limits
    cwd: Path | None = None  # None: the box's own temporary folder
    fds: tuple[int, ...] = ()
    stdout: int | None = None  # None: to the output, like stderr
    group: int | None = None  # which may see the views; None: everybody may
    devices: bool = True  # /proc, /dev, /dev/shm and /dev/mqueue


@dataclass
class Box:
    """A box with a job running in it; `output` is what the job prints."""

    process: subprocess.Popen[bytes]
    output: int
    lease: uids.Lease | None
    kind: "BoxKind"
    folder: Path | None = None  # to be removed afterwards

    @property
    def pid(self) -> int:
        """The process to wait for."""
        return self.process.pid

    def kill(self) -> None:
        """Ends everything in the box at once."""
        self.kind.kill(self)

    def end(self) -> None:
        """Reaps the box, sweeps what it left, frees its uid; it must have ended."""
        self.process.wait()
        self.kind.sweep(self)
        if self.folder:
            shutil.rmtree(self.folder)
        if self.lease:
            self.lease.release()


class BoxKind(Protocol):
    """What a kind of box can do."""

    name: Kind
    shares_objects: bool  # shared memory and queues of others can be seen in there

    def seen(self, path: Path, views: Sequence[View]) -> str:
        """The name that a file of the host has in the box."""

    def start(self, job: Job) -> Box:
        """Starts a job; OSError becomes a GraderError."""

    def kill(self, box: Box) -> None:
        """Ends everything in the box at once."""

    def sweep(self, box: Box) -> None:
        """Removes what the box left outside of itself."""


@dataclass(frozen=True)
class Outcome:
    """How a job ended that was run from beginning to end."""

    ended: Ended
    status: int  # as subprocess gives it: negative for a signal
    output: str
    cut: bool  # there was more output than was kept


def run_job(kind: BoxKind, job: Job, *, seconds: float, stop: Stop | None = None) -> Outcome:
    """Runs a job to its end, or kills it at the deadline."""
    box = kind.start(job)
    sink = Sink(job.limits.output_bytes)
    watch = Watch({box.output: sink}, [stop] if stop else [])
    try:
        ended = watch.wait(box.pid, seconds=seconds)
    finally:
        end_box(box, watch)
    return Outcome(
        ended=ended,
        status=box.process.returncode,
        output=sink.text(),
        cut=sink.dropped_bytes > 0,
    )


def end_box(box: Box, watch: Watch, *, patience_s: float = 0.0) -> None:
    """Waits for a box to end by itself for a while, then kills it; reaps and sweeps."""
    watch.stops = ()
    if watch.wait(box.pid, seconds=patience_s) is not Ended.DONE:
        box.kill()
        if watch.wait(box.pid, seconds=END_SECONDS) is not Ended.DONE:
            raise GraderError(f"the box of process {box.pid} could not be ended")
    box.end()
    watch.close()


class Bwrap:
    """Boxes made of namespaces."""

    name: Kind = "bwrap"
    shares_objects = False

    def seen(self, path: Path, views: Sequence[View]) -> str:
        """Where the view that holds the file shows it."""
        for view in views:
            if path == view.host:
                return view.inside
            if path.is_relative_to(view.host):
                return f"{view.inside}/{path.relative_to(view.host)}"
        raise GraderError(f"no view of the box shows {path}")

    def start(self, job: Job) -> Box:
        """Drops to a uid of the pool when root, makes the namespaces, sets the limits."""
        lease = uids.lease() if os.geteuid() == 0 else None
        given = [_bytes_fd(text) for text in (PASSWD, GROUP, FILTER)]
        argv = [*become(lease, job.group), "bwrap", *self._namespaces(job)]
        argv += ["--file", str(given[0]), "/etc/passwd", "--file", str(given[1]), "/etc/group"]
        argv += ["--seccomp", str(given[2])] if FILTER else []
        argv += ["--remount-ro", "/", "--", *_limited(job.limits)]
        argv += [a if isinstance(a, str) else self.seen(a, job.views) for a in job.argv]
        try:
            process = _start(argv, replace(job, fds=(*job.fds, *given)), lease=lease)
        finally:
            for fd in given:
                os.close(fd)
        return Box(process=process[0], output=process[1], lease=lease, kind=self)

    def _namespaces(self, job: Job) -> list[str]:
        size = str(job.limits.tmpfs_bytes)
        argv = ["--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
        argv += ["--as-pid-1"]  # then the box is empty when bwrap has ended
        argv += ["--hostname", "box", "--uid", "1000", "--gid", "1000", "--clearenv"]
        for name, value in (ENVIRONMENT | {"HOME": "/tmp", "TMPDIR": "/tmp"}).items():
            argv += ["--setenv", name, value]
        argv += ["--ro-bind", "/usr", "/usr"]
        for name in SYSTEM_FOLDERS:
            path = Path("/", name)
            if path.is_symlink():
                argv += ["--symlink", str(path.readlink()), str(path)]
            elif path.is_dir():
                argv += ["--ro-bind", str(path), str(path)]
        for name in SYSTEM_FILES:
            argv += ["--ro-bind-try", name, name]
        argv += ["--size", size, "--tmpfs", "/tmp"]
        if job.devices:
            argv += ["--proc", "/proc", "--dev", "/dev", "--size", size, "--tmpfs", "/dev/shm"]
            argv += ["--mqueue", "/dev/mqueue", "--remount-ro", "/dev"]
        else:
            argv += ["--dir", "/dev", "--dev-bind", "/dev/null", "/dev/null"]
        for view in job.views:
            argv += ["--ro-bind", str(view.host), view.inside]
        argv += ["--chdir", self.seen(job.cwd, job.views) if job.cwd else "/tmp"]
        return argv

    def kill(self, box: Box) -> None:
        """Kills pid 1 of the box, and with it all others; bwrap then ends by itself."""
        try:
            children = Path(f"/proc/{box.pid}/task/{box.pid}/children").read_text(encoding="ascii")
        except (FileNotFoundError, ProcessLookupError):
            children = ""  # it ended by itself
        for child in children.split():
            _kill(int(child))
        if not children:
            _kill(box.pid)

    def sweep(self, box: Box) -> None:
        """Nothing: what the box made has gone with its namespaces."""


class Uid:
    """Boxes made of a user id, inside a container that supplies the rest."""

    name: Kind = "uid"
    shares_objects = False  # all can be seen, but those of the box's own uid are its own

    def seen(self, path: Path, views: Sequence[View]) -> str:  # noqa: ARG002  (the interface)
        """Where it is."""
        return str(path)

    def start(self, job: Job) -> Box:
        """Becomes a uid of the pool with a temporary folder of its own."""
        if os.geteuid() != 0:
            raise GraderError("boxes of kind uid need root: the grader must become other users")
        lease = uids.lease()
        folder = Path(tempfile.gettempdir(), f"labkit-box-{os.urandom(8).hex()}")
        argv = [*become(lease, job.group), *_limited(job.limits)]
        argv += ["sh", "-c", ENTER, "sh", str(job.cwd or folder), *map(str, job.argv)]
        env = ENVIRONMENT | {"HOME": str(folder), "TMPDIR": str(folder)}
        process, output = _start(argv, job, lease=lease, env=env)
        return Box(process=process, output=output, lease=lease, kind=self)

    def kill(self, box: Box) -> None:
        """Kills every process of the box's uid."""
        uids.kill_all(_uid(box))
        _kill(box.pid)

    def sweep(self, box: Box) -> None:
        """As the box's uid: kills, then removes System V objects and files."""
        uid = _uid(box)
        folders = [f for f in SHARED_FOLDERS if Path(f).is_dir()]
        find = ["find", *folders, "-xdev", "-mindepth", "1", "-user", str(uid)]
        find += ["-prune", "-exec", "sh", "-c", REMOVE, "sh", "{}", "+"]
        find += ["-o", "-type", "d", "!", "-perm", "-o+w", "-prune"]  # nobody else's folders
        self.kill(box)
        _wait_until_gone(uid)
        _as_uid(uid, find)
        for kind, option in (("shm", "-m"), ("msg", "-q"), ("sem", "-s")):
            words = [w for i in _sysv_objects(kind, uid) for w in (option, i)]
            if words:
                _as_uid(uid, ["ipcrm", *words])


class Own:
    """No box at all: a student's own code, under the student's own name."""

    name: Kind = "none"
    shares_objects = True

    def seen(self, path: Path, views: Sequence[View]) -> str:  # noqa: ARG002  (the interface)
        """Where it is."""
        return str(path)

    def start(self, job: Job) -> Box:
        """Limits, a temporary folder and a clean environment."""
        folder = Path(tempfile.mkdtemp(prefix="labkit-box-"))
        limits = replace(job.limits, processes=0)  # they are counted over all of the user's
        argv = [*_limited(limits), *map(str, job.argv)]
        env = ENVIRONMENT | {"HOME": str(folder), "TMPDIR": str(folder)}
        process, output = _start(argv, job, lease=None, env=env, cwd=job.cwd or folder)
        return Box(process=process, output=output, lease=None, kind=self, folder=folder)

    def kill(self, box: Box) -> None:
        """Kills the processes that share the job's process group, never others."""
        try:
            os.killpg(box.pid, signal.SIGKILL)
        except ProcessLookupError:
            return

    def sweep(self, box: Box) -> None:
        """Kills what is left of the process group."""
        self.kill(box)


def become(lease: uids.Lease | None, group: int | None = None) -> list[str]:
    """Words that give up root for a uid of the pool, for good, and its own group or another."""
    if lease is None:
        return []
    gid = lease.uid if group is None else group
    identity = [f"--reuid={lease.uid}", f"--regid={gid}", "--clear-groups"]
    return ["setpriv", *identity, "--inh-caps=-all", "--no-new-privs", "--"]


def _limited(limits: Limits) -> list[str]:
    """Words that set the limits; never above what this process has itself."""
    wanted = [
        ("cpu", resource.RLIMIT_CPU, limits.cpu_s),
        ("fsize", resource.RLIMIT_FSIZE, limits.file_bytes),
        ("nproc", resource.RLIMIT_NPROC, limits.processes),
        ("nofile", resource.RLIMIT_NOFILE, limits.open_files),
        ("as", resource.RLIMIT_AS, limits.memory_bytes),
        ("msgqueue", resource.RLIMIT_MSGQUEUE, QUEUE_BYTES),
    ]
    argv = ["prlimit", "--core=0"]
    for name, number, value in wanted:
        hard = resource.getrlimit(number)[1]
        most = value if hard == resource.RLIM_INFINITY else min(value, hard)
        if value and name == "cpu":  # first SIGXCPU, which says why
            argv.append(f"--cpu={most}:{most + 1 if most == value else most}")
        elif value:
            argv.append(f"--{name}={most}")
    return [*argv, "--"]


def _start(
    argv: list[str],
    job: Job,
    *,
    lease: uids.Lease | None,
    env: dict[str, str] = ENVIRONMENT,
    cwd: Path | None = None,
) -> tuple[subprocess.Popen[bytes], int]:
    """The process, and the reading end of what it prints."""
    read, write = os.pipe()
    try:
        process = subprocess.Popen(
            [*FIRST_TO_DIE, *argv],
            stdin=subprocess.DEVNULL,
            stdout=write if job.stdout is None else job.stdout,
            stderr=write,
            env=env,
            cwd=cwd,
            pass_fds=job.fds,
            start_new_session=True,
        )
    except OSError as error:
        os.close(read)
        if lease:
            lease.release()
        raise GraderError(f"a box cannot be started: {error}") from error
    finally:
        os.close(write)
    return process, read


def _bytes_fd(content: bytes) -> int:
    """A descriptor from which this can be read once."""
    read, write = os.pipe()
    os.write(write, content)
    os.close(write)
    return read


def _kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _uid(box: Box) -> int:
    if box.lease is None:
        raise GraderError("a uid box without a uid")
    return box.lease.uid


def _as_uid(uid: int, argv: list[str]) -> None:
    """Runs a command as a box's uid; what it says and returns does not matter."""
    subprocess.call(
        [*become(uids.Lease(uid=uid, fd=-1)), *argv],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=ENVIRONMENT,
    )


def _wait_until_gone(uid: int) -> None:
    """A killed process lives on for a moment, and counts against the limit of the uid."""
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
            raise GraderError(f"process {alive[0]} of a box's uid cannot be ended")


def _processes() -> Iterator[int]:
    return (int(name) for name in os.listdir("/proc") if name.isdigit())  # noqa: PTH208


def _is_alive(pid: int, uid: int) -> bool:
    """Whether a process is of the uid, and no zombie; a stage's /proc entry is root's."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return f"\nUid:\t{uid}\t" in status and "\nState:\tZ" not in status


def _sysv_objects(kind: str, uid: int) -> list[str]:
    """Identifiers of the System V objects that a uid owns or made."""
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
