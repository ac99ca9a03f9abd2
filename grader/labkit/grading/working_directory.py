"""A temporary directory with everything that the sandboxes of one submission may read.

Sandboxes run under other uids, which cannot read a home directory, so their files are copied here.
All sandboxes of the submission share a group that may enter the directory; sandboxes of other
submissions may not.

    src/            the files handed in
    include/        the lab's own headers and given sources
    kit/            puppet, debug/
    made/           submission.so, programs/
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from labkit.errors import GraderError
from labkit.lab.kit import Kit
from labkit.sandbox import uids
from labkit.sandbox.interface import Mount
from labkit.tools import need_tool

NEEDED_BYTES: Final = 256 << 20  # free space that is required to start a grading


@dataclass(frozen=True)
class WorkingDirectory:
    """The directories of one submission while it is graded."""

    path: Path
    group: int | None = None  # may enter; None: only the grader's own user

    @property
    def src(self) -> Path:
        """The files handed in."""
        return self.path / "src"

    @property
    def include(self) -> Path:
        """The lab's own headers and given sources."""
        return self.path / "include"

    @property
    def kit(self) -> Path:
        """The trusted programs that run in the sandbox."""
        return self.path / "kit"

    @property
    def made(self) -> Path:
        """What was compiled from the submission."""
        return self.path / "made"

    @property
    def programs(self) -> Path:
        """Executables of the lab and of the submission together."""
        return self.made / "programs"

    @property
    def compile_mounts(self) -> tuple[Mount, ...]:
        """What a compiler reads."""
        return (Mount(self.src, "/src"), Mount(self.include, "/include"))

    @property
    def run_mounts(self) -> tuple[Mount, ...]:
        """What a submission reads while it runs."""
        return (Mount(self.kit, "/kit"), Mount(self.made, "/submission"))

    @property
    def memcheck_mounts(self) -> tuple[Mount, ...]:
        """The same for Valgrind, with the debug symbols that it needs."""
        debug = self.kit / "debug"
        return (*self.run_mounts, *([Mount(debug, "/usr/lib/debug")] if debug.exists() else []))


@contextmanager
def working_directory(kit: Kit) -> Iterator[WorkingDirectory]:
    """Creates the directory, and removes it at the end of the block."""
    try:
        temporary = tempfile.TemporaryDirectory(prefix="labkit-")
    except OSError as error:
        raise GraderError(f"a temporary directory cannot be created: {error}") from error
    with temporary as name, _own_group() as group:
        directory = WorkingDirectory(Path(name), group)
        try:
            _fill(directory, kit)
        except OSError as error:
            raise GraderError(f"the temporary directory cannot be used: {error}") from error
        yield directory


@contextmanager
def _own_group() -> Iterator[int | None]:
    """For root, a group without other members; its gid is the number of a leased uid."""
    if os.geteuid() != 0:
        yield None
        return
    lease = uids.lease()
    try:
        yield lease.uid
    finally:
        lease.release()


def _fill(directory: WorkingDirectory, kit: Kit) -> None:
    _check_space(directory.path)
    for path in (directory.src, directory.include, directory.kit, directory.programs):
        path.mkdir(parents=True)
    for path in (*kit.headers, *kit.given):
        shutil.copyfile(path, directory.include / path.name)
    _copy_program(kit.puppet, directory.kit)
    for program in kit.programs.glob("*"):
        _copy_program(program, directory.programs)
    if kit.debug_symbols.exists():
        shutil.copytree(kit.debug_symbols, directory.kit / "debug")
    make_readable(directory.path)
    if directory.group is not None:
        _give_to_group(directory.path, directory.group)
        directory.path.chmod(0o710)


def make_readable(path: Path) -> None:
    """Makes everything below a directory readable for every uid, whatever the umask is."""
    for entry in path.rglob("*"):
        entry.chmod(0o755 if entry.is_dir() or entry.stat().st_mode & 0o100 else 0o644)


def _give_to_group(path: Path, group: int) -> None:
    """Runs chgrp as a member of the group, because root in a container may not chown()."""
    need_tool("chgrp")
    argv = ["setpriv", f"--groups={group}", "--", "chgrp", "--", str(group), str(path)]
    done = subprocess.run(argv, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        raise GraderError(f"{path} cannot be given to group {group}: {done.stderr.strip()}")


def _copy_program(program: Path, directory: Path) -> None:
    shutil.copyfile(program, directory / program.name)
    (directory / program.name).chmod(0o755)


def _check_space(path: Path) -> None:
    """Raises GraderError on a full disk, which would look like the student's compile error."""
    status = os.statvfs(path)
    free = status.f_bavail * status.f_frsize
    if free < NEEDED_BYTES:
        raise GraderError(
            f"only {free >> 20} MiB are free in {path.parent}, "
            f"{NEEDED_BYTES >> 20} are needed: free some, or set TMPDIR to another directory"
        )
