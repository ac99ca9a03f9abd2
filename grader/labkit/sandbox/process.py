"""How the first process of a sandbox starts: environment, descriptors, output."""

import os
import signal
import subprocess
from typing import Final

from labkit.errors import GraderError
from labkit.sandbox import uids
from labkit.sandbox.interface import Job

ENVIRONMENT: Final = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "HOME": "/nonexistent"}
UMASK: Final = 0o022  # the grader's own must not decide what modes a submission's objects have


def start_process(
    argv: list[str],
    job: Job,
    *,
    lease: uids.Lease | None,
    env: dict[str, str] = ENVIRONMENT,
) -> tuple[subprocess.Popen[bytes], int]:
    """Starts a process; returns it and the read end of its output."""
    read, write = os.pipe()
    try:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=write if job.stdout is None else job.stdout,
            stderr=write,
            env=env,
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


def bytes_fd(content: bytes) -> int:
    """A descriptor from which the content can be read once."""
    fd = os.memfd_create("labkit")
    os.write(fd, content)
    os.lseek(fd, 0, os.SEEK_SET)
    return fd
