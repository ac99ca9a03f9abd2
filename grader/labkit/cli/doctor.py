"""What this machine can do for the grader, and how to fix what it cannot."""

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from labkit.sandbox import detect, uids
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
    """One thing looked at; `needed` says whether grading is possible without it."""

    name: str
    ok: bool
    says: str
    remedy: str = ""
    needed: bool = True


def examine() -> tuple[Check, ...]:
    """Everything that decides whether and how this machine can grade."""
    return (*_tools(), *_files(), *_sandboxes(), *_objects(), *_limits())


def possible(checks: tuple[Check, ...]) -> bool:
    """Whether submissions can be graded here."""
    return all(c.ok for c in checks if c.needed)


def report(checks: tuple[Check, ...]) -> str:
    """The checks as a page of text."""
    lines = []
    for check in checks:
        mark = "ok     " if check.ok else "MISSING" if check.needed else "without"
        lines.append(f"{mark}  {check.name}: {check.says}")
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
        says = _version(path) if path else "not installed"
        remedy = f"apt-get install {tool.package}"
        yield Check(tool.name, path is not None, says, remedy, needed=tool.grading)


def _version(path: str) -> str:
    done = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    lines = (done.stdout or done.stderr).splitlines()
    return lines[0] if lines and not done.returncode else path


def _files() -> Iterator[Check]:
    for name, package in HEADERS.items():
        there = Path(name).exists()
        says = name if there else f"{name} is not there"
        yield Check(package, there, says, f"apt-get install {package}")


def _sandboxes() -> Iterator[Check]:
    problems = {name: detect.problem_of(name) for name in detect.PROTECTING}
    for name, problem in problems.items():
        says = problem or "can be made"
        remedy = detect.fix(name)
        yield Check(f"sandboxes of kind {name}", not problem, says, remedy, needed=False)
    any_kind = not all(problems.values())
    says = "at least one kind that protects" if any_kind else "no kind that protects"
    yield Check("sandboxes", any_kind, says, "see the kinds above: one of the two is enough")


def _objects() -> Iterator[Check]:
    shm = Path("/dev/shm")
    size = os.statvfs(shm).f_blocks * os.statvfs(shm).f_frsize if shm.is_dir() else 0
    remedy = "docker run --shm-size=256m, or --tmpfs /dev/shm"
    yield Check("/dev/shm", size >= SHM_BYTES, f"{size >> 20} MiB", remedy, needed=False)
    mqueue = Path("/proc/sys/fs/mqueue/msg_max").exists()
    says = "the kernel has them" if mqueue else "the kernel has none"
    yield Check("POSIX message queues", mqueue, says, "a kernel with CONFIG_POSIX_MQUEUE")
    mounted = os.path.ismount("/dev/mqueue")
    says = "mounted" if mounted else "not mounted (sandboxes of kind bwrap mount their own)"
    remedy = "mount -t mqueue none /dev/mqueue"
    yield Check("/dev/mqueue", mounted, says, remedy, needed=False)


def _limits() -> Iterator[Check]:
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    enough = files == resource.RLIM_INFINITY or files >= OPEN_FILES
    says = "no limit" if files == resource.RLIM_INFINITY else str(files)
    yield Check("open files", enough, says, f"ulimit -Hn {OPEN_FILES}")
    if os.geteuid() == 0:
        uids.lease().release()
        yield Check("uids for sandboxes", ok=True, says=f"{uids.POOL[0]} to {uids.POOL[-1]}")
