"""Sandboxes of kind none: a student's own code on their own machine.

They have limits, a system-call filter and a clean environment, but no protection.
"""

import os
import signal
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from labkit.errors import GraderError
from labkit.sandbox import seccomp
from labkit.sandbox.interface import Job, Kind, Mount, Sandbox
from labkit.sandbox.launcher import keep_options, launcher, limit_options
from labkit.sandbox.process import ENVIRONMENT, bytes_fd, start_process


class NoSandbox:
    """No protection: a student's own code, under the student's own uid."""

    name: Kind = "none"
    shares_objects = True

    def path_inside(self, path: Path, mounts: Sequence[Mount]) -> str:  # noqa: ARG002  (the interface)
        """The path on the host."""
        return str(path)

    def start(self, job: Job) -> Sandbox:
        """Starts a job with limits, a temporary directory and a clean environment."""
        start, filter_fd = launcher(), bytes_fd(seccomp.program(ptrace=job.ptrace))
        directory = Path(tempfile.mkdtemp(prefix="labkit-sandbox-"))
        # RLIMIT_NPROC counts all processes of the user, so it is not set.
        argv = [str(start), "--first-to-die", f"--filter={filter_fd}"]
        argv += [*limit_options(job.limits, count_processes=False), *keep_options(job.fds)]
        argv += [f"--chdir={job.cwd or directory}", "--", *map(str, job.argv)]
        env = ENVIRONMENT | {"HOME": str(directory), "TMPDIR": str(directory)}
        try:
            process, output = start_process(
                argv, replace(job, fds=(*job.fds, filter_fd)), lease=None, env=env
            )
        except GraderError:
            directory.rmdir()
            raise
        finally:
            os.close(filter_fd)
        return Sandbox(process=process, output=output, lease=None, kind=self, directory=directory)

    def kill(self, sandbox: Sandbox) -> None:
        """Kills the processes of the job's process group, never others."""
        try:
            os.killpg(sandbox.pid, signal.SIGKILL)
        except ProcessLookupError:
            return

    def sweep(self, sandbox: Sandbox) -> None:
        """Kills what is left of the process group."""
        self.kill(sandbox)
