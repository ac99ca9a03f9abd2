"""What this machine can do for the grader, and how to mend what it cannot."""

import os
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from labkit import probe
from labkit.uids import POOL, lease

TOOLS: Final = {
    "gcc": "gcc",
    "make": "make",
    "valgrind": "valgrind",
    "bwrap": "bubblewrap",
    "setpriv": "util-linux",
    "prlimit": "util-linux",
    "choom": "util-linux",
    "ipcrm": "util-linux",
    "find": "findutils",
    "unifdef": "unifdef",
    "patch": "patch",
}
OPTIONAL: Final = frozenset({"bwrap", "setpriv", "ipcrm", "find", "unifdef", "patch"})
HEADERS: Final = {
    "/usr/include/cmocka.h": "libcmocka-dev",
    "/usr/include/valgrind/memcheck.h": "valgrind",
    "/usr/lib/debug/.build-id": "libc6-dbg",
}
SHM_BYTES: Final = 64 << 20
OPEN_FILES: Final = 1024


@dataclass(frozen=True)
class Check:
    """One thing looked at.  `needed` ones decide whether grading is possible."""

    name: str
    ok: bool
    says: str
    mend: str = ""
    needed: bool = True


def examine() -> tuple[Check, ...]:
    """Everything that decides whether and how this machine can grade."""
    return (*_tools(), *_files(), *_boxes(), *_objects(), *_limits())


def possible(checks: tuple[Check, ...]) -> bool:
    """Whether submissions can be graded here."""
    return all(c.ok for c in checks if c.needed)


def report(checks: tuple[Check, ...]) -> str:
    """The checks as a page of text."""
    lines = []
    for check in checks:
        mark = "ok     " if check.ok else "MISSING" if check.needed else "without"
        lines.append(f"{mark}  {check.name}: {check.says}")
        if not check.ok and check.mend:
            lines.append(f"         to mend: {check.mend}")
    able = possible(checks)
    lines.append("grading is possible here" if able else "grading is not possible here yet")
    return "\n".join(lines)


def _tools() -> Iterator[Check]:
    version = ".".join(map(str, sys.version_info[:3]))
    yield Check("python", sys.version_info >= (3, 11), version, "python 3.11 or newer")
    for tool, package in TOOLS.items():
        path = shutil.which(tool)
        says = _version(path) if path else "not installed"
        mend = f"apt-get install {package}"
        yield Check(tool, path is not None, says, mend, needed=tool not in OPTIONAL)


def _version(path: str) -> str:
    done = subprocess.run([path, "--version"], capture_output=True, text=True, check=False)
    lines = (done.stdout or done.stderr).splitlines()
    return lines[0] if lines and not done.returncode else path


def _files() -> Iterator[Check]:
    for name, package in HEADERS.items():
        there = Path(name).exists()
        says = name if there else f"{name} is not there"
        yield Check(package, there, says, f"apt-get install {package}")


def _boxes() -> Iterator[Check]:
    problems = {name: probe.problem_of(name) for name in probe.PROTECTING}
    for name, problem in problems.items():
        says = problem or "can be made"
        mend = probe.mend(name)
        yield Check(f"boxes of kind {name}", not problem, says, mend, needed=False)
    any_kind = not all(problems.values())
    says = "at least one kind that protects" if any_kind else "no kind that protects"
    yield Check("boxes", any_kind, says, "see the kinds above: one of the two is enough")


def _objects() -> Iterator[Check]:
    shm = Path("/dev/shm")
    size = os.statvfs(shm).f_blocks * os.statvfs(shm).f_frsize if shm.is_dir() else 0
    mend = "docker run --shm-size=256m, or --tmpfs /dev/shm"
    yield Check("/dev/shm", size >= SHM_BYTES, f"{size >> 20} MiB", mend, needed=False)
    mqueue = Path("/proc/sys/fs/mqueue/msg_max").exists()
    says = "the kernel has them" if mqueue else "the kernel has none"
    yield Check("POSIX message queues", mqueue, says, "a kernel with CONFIG_POSIX_MQUEUE")
    mounted = os.path.ismount("/dev/mqueue")
    says = "mounted" if mounted else "not mounted (boxes of kind bwrap mount their own)"
    mend = "mount -t mqueue none /dev/mqueue"
    yield Check("/dev/mqueue", mounted, says, mend, needed=False)


def _limits() -> Iterator[Check]:
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    enough = files == resource.RLIM_INFINITY or files >= OPEN_FILES
    says = "no limit" if files == resource.RLIM_INFINITY else str(files)
    yield Check("open files", enough, says, f"ulimit -Hn {OPEN_FILES}")
    if os.geteuid() == 0:
        held = lease()
        held.release()
        yield Check("uids for boxes", ok=True, says=f"{POOL[0]} to {POOL[-1]}")
