"""How the first process of a sandbox starts: limits, identity, environment, descriptors."""

import os
import resource
import signal
import subprocess
from pathlib import Path
from typing import Final

from labkit.errors import GraderError
from labkit.limits import Limits
from labkit.sandbox import uids
from labkit.sandbox.interface import Job

ENVIRONMENT: Final = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "HOME": "/nonexistent"}
FIRST_TO_DIE: Final = ("choom", "--adjust", "1000", "--")  # when memory runs out, not the grader
UMASK: Final = 0o022  # the grader's own must not decide what modes a submission's objects have
QUEUE_BYTES: Final = 819200  # the default of Linux


def drop_privileges(lease: uids.Lease | None, group: int | None = None) -> list[str]:
    """Arguments that drop root irrevocably for the leased uid and a group, or the uid's own."""
    if lease is None:
        return []
    gid = lease.uid if group is None else group
    identity = [f"--reuid={lease.uid}", f"--regid={gid}", "--clear-groups"]
    return ["setpriv", *identity, "--inh-caps=-all", "--no-new-privs", "--"]


def set_limits(limits: Limits, *, count_processes: bool = True) -> list[str]:
    """Arguments that set the limits, at most to the hard limits of this process."""
    wanted = [
        ("cpu", resource.RLIMIT_CPU, limits.cpu_s),
        ("fsize", resource.RLIMIT_FSIZE, limits.file_bytes),
        ("nofile", resource.RLIMIT_NOFILE, limits.open_files),
        ("as", resource.RLIMIT_AS, limits.memory_bytes),
        ("msgqueue", resource.RLIMIT_MSGQUEUE, QUEUE_BYTES),
    ]
    if count_processes:
        wanted.append(("nproc", resource.RLIMIT_NPROC, limits.processes))
    argv = ["prlimit", "--core=0"]
    for name, number, value in wanted:
        hard = resource.getrlimit(number)[1]
        most = value if hard == resource.RLIM_INFINITY else min(value, hard)
        if name == "cpu":  # SIGXCPU comes first, and names the reason
            argv.append(f"--cpu={most}:{most + 1 if most == value else most}")
        else:
            argv.append(f"--{name}={most}")
    return [*argv, "--"]


def start_process(
    argv: list[str],
    job: Job,
    *,
    lease: uids.Lease | None,
    env: dict[str, str] = ENVIRONMENT,
    cwd: Path | None = None,
) -> tuple[subprocess.Popen[bytes], int]:
    """Starts a process; returns it and the read end of its output."""
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
            umask=UMASK,
        )
    except OSError as error:
        os.close(read)
        if lease:
            lease.release()
        raise GraderError(f"a sandbox cannot be started: {error}") from error
    finally:
        os.close(write)
    return process, read


def kill_process(pid: int) -> None:
    """Kills a process, if it still exists."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return
