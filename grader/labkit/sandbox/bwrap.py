"""Sandboxes of kind bwrap: bubblewrap, with private pid, net, ipc, mount and uts namespaces.

A grader that runs as root first drops to a uid of the pool.
"""

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from labkit.errors import GraderError
from labkit.sandbox import seccomp, uids
from labkit.sandbox.interface import Job, Kind, Mount, Sandbox
from labkit.sandbox.launcher import (
    DEVICES,
    identity_options,
    keep_options,
    launcher,
    limit_options,
    path_options,
)
from labkit.sandbox.process import ENVIRONMENT, bytes_fd, kill_process, start_process

SYSTEM_DIRECTORIES: Final = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
SYSTEM_FILES: Final = ("/etc/ld.so.cache", "/etc/alternatives")
PASSWD: Final = b"student:x:1000:1000:student:/tmp:/bin/sh\n"
GROUP: Final = b"student:x:1000:\n"
LAUNCHER: Final = "/launch"


class Bwrap:
    """Sandboxes made of namespaces."""

    name: Kind = "bwrap"
    shares_objects = False

    def path_inside(self, path: Path, mounts: Sequence[Mount]) -> str:
        """The path of the file below its mount."""
        for mount in mounts:
            if path == mount.host:
                return mount.inside
            if path.is_relative_to(mount.host):
                return f"{mount.inside}/{path.relative_to(mount.host)}"
        raise GraderError(f"no mount of the sandbox contains {path}")

    def start(self, job: Job) -> Sandbox:
        """Drops root for a uid of the pool, makes the namespaces, sets the limits."""
        program = launcher()
        texts = (PASSWD, GROUP, program.read_bytes(), seccomp.program(ptrace=job.ptrace))
        lease = uids.lease() if os.geteuid() == 0 else None
        files = [bytes_fd(text) for text in texts]
        argv = [str(program), "--filter=none", "--first-to-die"]
        argv += [*identity_options(lease, job.group), *keep_options((*job.fds, *files))]
        argv += ["--", "bwrap", *self._namespaces(job)]
        argv += ["--file", str(files[0]), "/etc/passwd", "--file", str(files[1]), "/etc/group"]
        argv += ["--perms", "0555", "--file", str(files[2]), LAUNCHER, "--remount-ro", "/"]
        argv += ["--", LAUNCHER, f"--filter={files[3]}", *limit_options(job.limits)]
        argv += [*_paths(job), *keep_options(job.fds), "--"]
        argv += [a if isinstance(a, str) else self.path_inside(a, job.mounts) for a in job.argv]
        try:
            process = start_process(argv, replace(job, fds=(*job.fds, *files)), lease=lease)
        finally:
            for fd in files:
                os.close(fd)
        return Sandbox(process=process[0], output=process[1], lease=lease, kind=self)

    def _namespaces(self, job: Job) -> list[str]:
        size = str(job.limits.tmpfs_bytes)
        argv = ["--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
        argv += ["--as-pid-1"]  # so the sandbox is empty when bwrap has ended
        argv += ["--hostname", "sandbox", "--uid", "1000", "--gid", "1000", "--clearenv"]
        for name, value in (ENVIRONMENT | {"HOME": "/tmp", "TMPDIR": "/tmp"}).items():
            argv += ["--setenv", name, value]
        argv += ["--ro-bind", "/usr", "/usr"]
        for name in SYSTEM_DIRECTORIES:
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
        for mount in job.mounts:
            argv += ["--ro-bind", str(mount.host), mount.inside]
        argv += ["--chdir", self.path_inside(job.cwd, job.mounts) if job.cwd else "/tmp"]
        return argv

    def kill(self, sandbox: Sandbox) -> None:
        """Kills pid 1 of the sandbox, and so all its processes; bwrap then exits."""
        try:
            children = Path(f"/proc/{sandbox.pid}/task/{sandbox.pid}/children").read_text(
                encoding="ascii"
            )
        except (FileNotFoundError, ProcessLookupError):
            children = ""  # it has exited
        for child in children.split():
            kill_process(int(child))
        if not children:
            kill_process(sandbox.pid)

    def sweep(self, sandbox: Sandbox) -> None:
        """Does nothing: files and objects of the sandbox disappear with its namespaces."""


def _paths(job: Job) -> list[str]:
    """What Landlock lets the sandbox open: besides the mounts, it protects memory in /proc."""
    if not job.devices:
        return path_options(["/"], ["/tmp", "/dev/null"])
    return ["--probe", *path_options(["/"], ["/tmp", *DEVICES])]
