"""The interface of the three kinds of sandbox (bwrap.py, uid.py, none.py).

A job names files by their path on the host and lists what the sandbox may read (mounts).  A bwrap
sandbox mounts them at other paths; the other kinds use the paths of the host.  The launcher
(launch.c) sets limits, uid, no_new_privs, Landlock and the system-call filter, and then executes
the job's program: before any foreign code runs.
"""

import shutil
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal, Protocol

from labkit.errors import GraderError
from labkit.limits import Limits
from labkit.sandbox import uids
from labkit.sandbox.watch import CancelEvent, Ended, Sink, Watch

Kind = Literal["bwrap", "uid", "none"]
KINDS: Final[tuple[Kind, ...]] = ("bwrap", "uid", "none")

END_SECONDS: Final = 5.0  # for the processes of a sandbox to end after they were killed


@dataclass(frozen=True)
class Mount:
    """A file or directory of the host that the sandbox may read."""

    host: Path
    inside: str


@dataclass(frozen=True)
class Job:
    """What runs in a sandbox.  Each Path in argv lies below one of the mounts."""

    argv: tuple[str | Path, ...]
    mounts: tuple[Mount, ...]
    limits: Limits
    cwd: Path | None = None  # None: the sandbox's own temporary directory
    fds: tuple[int, ...] = ()
    stdout: int | None = None  # None: to the output, like stderr
    group: int | None = None  # may read the mounts; None: all users may
    devices: bool = True  # /proc, /dev, /dev/shm and /dev/mqueue
    ptrace: bool = False  # the program may trace; it must refuse that to foreign code itself


@dataclass
class Sandbox:
    """A sandbox that runs a job; `output` is the read end of the job's output."""

    process: subprocess.Popen[bytes]
    output: int
    lease: uids.Lease | None
    kind: "SandboxKind"
    directory: Path | None = None  # to be removed afterwards
    turn: int | None = None  # see uids.take_turn()

    @property
    def pid(self) -> int:
        """The process to wait for."""
        return self.process.pid

    def kill(self) -> None:
        """Kills every process of the sandbox."""
        self.kind.kill(self)

    def close(self) -> None:
        """Reaps the sandbox after its end, sweeps what it left behind, releases its uid."""
        self.process.wait()
        self.kind.sweep(self)
        if self.directory:
            shutil.rmtree(self.directory)
        if self.lease:
            self.lease.release()


class SandboxKind(Protocol):
    """The operations of a kind of sandbox."""

    name: Kind
    shares_objects: bool  # shared memory and queues of other users are visible inside

    def path_inside(self, path: Path, mounts: Sequence[Mount]) -> str:
        """The name that a file of the host has in the sandbox."""

    def start(self, job: Job) -> Sandbox:
        """Starts a job; OSError becomes a GraderError."""

    def kill(self, sandbox: Sandbox) -> None:
        """Kills every process of the sandbox."""

    def sweep(self, sandbox: Sandbox) -> None:
        """Removes what the sandbox left behind."""


@dataclass(frozen=True)
class Outcome:
    """How a job ended."""

    ended: Ended
    status: int  # as subprocess has it: negative for a signal
    output: str
    cut: bool  # output was dropped


def run_job(
    kind: SandboxKind, job: Job, *, seconds: float, cancel: CancelEvent | None = None
) -> Outcome:
    """Runs a job to its end, or kills it at the deadline."""
    sandbox = kind.start(job)
    sink = Sink(job.limits.output_bytes)
    watch = Watch({sandbox.output: sink}, [cancel] if cancel else [])
    try:
        ended = watch.wait(sandbox.pid, seconds=seconds)
    finally:
        end_sandbox(sandbox, watch)
    return Outcome(
        ended=ended,
        status=sandbox.process.returncode,
        output=sink.text(),
        cut=sink.dropped_bytes > 0,
    )


def how_ended(status: int) -> str:
    """How a process ended; `status` is its returncode in subprocess."""
    if status >= 0:
        return f"exited with status {status}"
    named = {one.value: one.name for one in signal.Signals}
    return f"was killed by {named.get(-status, f'signal {-status}')}"


def end_sandbox(sandbox: Sandbox, watch: Watch, *, grace_s: float = 0.0) -> None:
    """Waits for a sandbox for a grace period, kills it if needed, then reaps and sweeps it."""
    watch.events = ()
    if watch.wait(sandbox.pid, seconds=grace_s) is not Ended.DONE:
        sandbox.kill()
        if watch.wait(sandbox.pid, seconds=END_SECONDS) is not Ended.DONE:
            raise GraderError(f"the sandbox of process {sandbox.pid} could not be killed")
    sandbox.close()
    watch.close()
