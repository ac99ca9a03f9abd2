"""Checks whether this machine can grade, and says how to fix what is missing."""

import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from labkit.sandbox import detect, launcher, uids
from labkit.sandbox.uid import MOUNT_QUEUES, temporary_directory
from labkit.tools import TOOLS

HEADERS: Final = {
    "/usr/include/cmocka.h": "libcmocka-dev",
    "/usr/include/valgrind/memcheck.h": "valgrind",
    "/usr/lib/debug/.build-id": "libc6-dbg",
}
SHM_BYTES: Final = 64 << 20
OPEN_FILES: Final = 1024


@dataclass(frozen=True)
class Check:
    """A requirement; without it grading is impossible if `needed` is set."""

    name: str
    ok: bool
    message: str
    remedy: str = ""
    needed: bool = True


def examine() -> tuple[Check, ...]:
    """Checks everything that decides whether and how this machine can grade."""
    return (*_tools(), *_files(), *_sandboxes(), *_objects(), *_limits())


def possible(checks: tuple[Check, ...]) -> bool:
    """Whether submissions can be graded here."""
    return all(c.ok for c in checks if c.needed)


def report(checks: tuple[Check, ...]) -> str:
    """The checks as text."""
    lines = []
    for check in checks:
        mark = "ok     " if check.ok else "MISSING" if check.needed else "missing"
        lines.append(f"{mark}  {check.name}: {check.message}")
        if not check.ok and check.remedy:
            lines.append(f"         to fix: {check.remedy}")
    able = possible(checks)
    lines.append("grading is possible here" if able else "grading is not possible here yet")
    return "\n".join(lines)


def _tools() -> Iterator[Check]:
    version = ".".join(map(str, sys.version_info[:3]))
    yield Check("python", sys.version_info >= (3, 11), version, "python 3.11 or newer")
    for tool in TOOLS:
        path = shutil.which(tool.name)
        message = _version(path) if path else "not installed"
        remedy = f"apt-get install {tool.package}"
        yield Check(tool.name, path is not None, message, remedy, needed=tool.grading)


def _version(path: str) -> str:
    done = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    lines = (done.stdout or done.stderr).splitlines()
    return lines[0] if lines and not done.returncode else path


def _files() -> Iterator[Check]:
    for name, package in HEADERS.items():
        there = Path(name).exists()
        message = name if there else f"{name} does not exist"
        yield Check(package, there, message, f"apt-get install {package}")


def _sandboxes() -> Iterator[Check]:
    problems = {name: detect.problem_of(name) for name in detect.PROTECTING}
    for name, problem in problems.items():
        message = problem or "available"
        remedy = detect.fix(name)
        yield Check(f"sandboxes of kind {name}", not problem, message, remedy, needed=False)
    abi = launcher.landlock_abi()
    message = f"version {abi}" if abi else "not in this kernel, or not enabled"
    remedy = "boot with lsm=landlock,...; without it, kind uid needs solutions that only root reads"
    yield Check("Landlock", abi > 0, message, remedy, needed=False)
    any_kind = not all(problems.values())
    message = f"{'at least one' if any_kind else 'no'} kind that protects is available"
    yield Check("sandboxes", any_kind, message, "see the kinds above: one of the two is enough")


def _objects() -> Iterator[Check]:
    shm = Path("/dev/shm")
    size = os.statvfs(shm).f_blocks * os.statvfs(shm).f_frsize if shm.is_dir() else 0
    remedy = "docker run --shm-size=256m, or --tmpfs /dev/shm"
    yield Check("/dev/shm", size >= SHM_BYTES, f"{size >> 20} MiB", remedy, needed=False)
    mqueue = Path("/proc/sys/fs/mqueue/msg_max").exists()
    message = "supported by the kernel" if mqueue else "not supported by the kernel"
    yield Check("POSIX message queues", mqueue, message, "a kernel with CONFIG_POSIX_MQUEUE")
    mounted = os.path.ismount("/dev/mqueue")
    message = "mounted" if mounted else "not mounted (sandboxes of kind bwrap mount their own)"
    yield Check("/dev/mqueue", mounted, message, MOUNT_QUEUES, needed=False)
    shared = _device(temporary_directory()) == _device(Path(tempfile.gettempdir()))
    message = "of the grader" if shared else "of their own"
    message = f"sandboxes of kind uid write to a file system {message}"
    remedy = "mount a tmpfs with a size, mode 1777, and set LABKIT_SANDBOX_TMP to it"
    yield Check("temporary files", not shared, message, remedy, needed=False)


def _device(path: Path) -> int:
    return path.stat().st_dev


def _limits() -> Iterator[Check]:
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    enough = files == resource.RLIM_INFINITY or files >= OPEN_FILES
    message = "no limit" if files == resource.RLIM_INFINITY else str(files)
    yield Check("open files", enough, message, f"ulimit -Hn {OPEN_FILES}")
    if os.geteuid() == 0:
        uids.lease().release()
        pool = uids.pool()
        yield Check("uids for sandboxes", ok=True, message=f"{pool[0]} to {pool[-1]}")
