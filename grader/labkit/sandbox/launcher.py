"""The launcher (launch.c): compiled once, and its command lines.

It starts the first process of every sandbox: limits, identity, Landlock, the system-call filter.
"""

import ctypes
import functools
import hashlib
import os
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from labkit.errors import GraderError
from labkit.limits import Limits
from labkit.sandbox import uids
from labkit.tools import need_tool

SOURCE: Final = Path(__file__).with_name("launch.c")
FLAGS: Final = ("-std=gnu11", "-D_GNU_SOURCE", "-O2", "-Wall", "-Wextra")
LACKING: Final = 75  # the exit statuses of launch.c
REFUSED: Final = 125
QUEUE_BYTES: Final = 819200  # the default of Linux
CREATE_RULESET: Final = 444  # the number of landlock_create_ruleset() on every architecture
VERSION: Final = 1  # LANDLOCK_CREATE_RULESET_VERSION
# What a running submission may open for writing, besides its temporary directory.
DEVICES: Final = (
    *("/dev/shm", "/dev/mqueue", "/dev/null", "/dev/zero", "/dev/full"),
    *("/dev/random", "/dev/urandom", "/dev/tty"),
)


def launcher() -> Path:
    """The compiled launcher; GraderError if it cannot be compiled."""
    return _compiled(Path(os.environ.get("LABKIT_BUILD", SOURCE.parents[3] / "build")).resolve())


@functools.cache
def _compiled(build: Path) -> Path:
    name = f"launch-{hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16]}"
    path = build / "kit" / name
    if path.exists():
        return path
    gcc = need_tool("gcc")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            new = Path(folder, name)
            argv = [gcc, *FLAGS, "-o", str(new), str(SOURCE)]
            path_of_tools = f"{os.environ.get('PATH', '')}:/usr/bin:/bin"  # gcc starts as and ld
            env = os.environ | {"PATH": path_of_tools}
            subprocess.run(argv, env=env, capture_output=True, check=True)
            new.rename(path)
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace")
        raise GraderError(f"the launcher does not compile: {said}") from error
    except OSError as error:
        raise GraderError(f"the launcher cannot be written to {path}: {error}") from error
    return path


@functools.cache
def landlock_abi() -> int:
    """The version of Landlock that the kernel has; 0 when it has none."""
    libc = ctypes.CDLL(None, use_errno=True)
    return max(0, int(libc.syscall(CREATE_RULESET, None, ctypes.c_size_t(0), VERSION)))


def identity_options(lease: uids.Lease | None, group: int | None = None) -> list[str]:
    """Options that drop root irrevocably for the leased uid and a group, or the uid's own."""
    if lease is None:
        return []
    return [f"--uid={lease.uid}", f"--gid={lease.uid if group is None else group}"]


def limit_options(limits: Limits, *, count_processes: bool = True) -> list[str]:
    """Options that set the limits of a sandbox's processes."""
    values = {
        "core": 0,
        "cpu": limits.cpu_s,
        "fsize": limits.file_bytes,
        "nofile": limits.open_files,
        "as": limits.memory_bytes,
        "msgqueue": QUEUE_BYTES,
    }
    if count_processes:
        values["nproc"] = limits.processes
    return [f"--limit={name}={value}" for name, value in values.items()]


def path_options(readable: Iterable[str], writable: Iterable[str]) -> list[str]:
    """Options that let a sandbox open only these files, and what is below them.

    Without Landlock there are none; detect.py says what that means for a kind of sandbox.
    """
    if landlock_abi() == 0:
        return []
    options = [f"--may-read={path}" for path in readable]
    return [*options, *(f"--may-write={path}" for path in writable)]


def keep_options(fds: Iterable[int]) -> list[str]:
    """Options that leave descriptors open in the program."""
    return [f"--keep={fd}" for fd in fds]
