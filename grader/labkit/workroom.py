"""A temporary folder with everything that the boxes of one submission may see.

Boxes run under other user ids, which cannot reach into a home folder; so what
they need is copied here.  All boxes of the submission share a group, which may
enter; another submission's, at the same time, may not.

    src/            the files handed in
    include/        the lab's headers
    kit/            puppet, programs/, debug/
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

from labkit import uids
from labkit.box import View
from labkit.errors import GraderError
from labkit.kit import Kit
from labkit.manifest import Lab

NEEDED_BYTES: Final = 256 << 20  # free space without which a run is not begun


@dataclass(frozen=True)
class Workroom:
    """The folders of one submission while it is graded."""

    folder: Path
    group: int | None = None  # of those that may enter; None: only the grader's own user

    @property
    def src(self) -> Path:
        """What was handed in."""
        return self.folder / "src"

    @property
    def include(self) -> Path:
        """The lab's own headers."""
        return self.folder / "include"

    @property
    def kit(self) -> Path:
        """The trusted programs that run in the box."""
        return self.folder / "kit"

    @property
    def made(self) -> Path:
        """What was compiled from the submission."""
        return self.folder / "made"

    @property
    def programs(self) -> Path:
        """Executables of the lab and of the submission together."""
        return self.made / "programs"

    @property
    def compile_views(self) -> tuple[View, ...]:
        """What a compiler sees."""
        return (View(self.src, "/src"), View(self.include, "/include"))

    @property
    def run_views(self) -> tuple[View, ...]:
        """What a submission sees while it runs."""
        return (View(self.kit, "/kit"), View(self.made, "/box"))

    @property
    def memcheck_views(self) -> tuple[View, ...]:
        """The same for Valgrind, with the little debug information that it needs."""
        debug = self.kit / "debug"
        return (*self.run_views, *([View(debug, "/usr/lib/debug")] if debug.exists() else []))


@contextmanager
def workroom(lab: Lab, kit: Kit) -> Iterator[Workroom]:
    """Makes the folder, and removes it afterwards whatever happened."""
    os.umask(0o022)  # for the whole run: boxes read what is written here
    try:
        temporary = tempfile.TemporaryDirectory(prefix="labkit-")
    except OSError as error:
        raise GraderError(f"no temporary folder can be made: {error}") from error
    with temporary as name, _own_group() as group:
        room = Workroom(Path(name), group)
        try:
            _fill(room, lab, kit)
        except OSError as error:
            raise GraderError(f"the temporary folder cannot be used: {error}") from error
        yield room


@contextmanager
def _own_group() -> Iterator[int | None]:
    """A group that nobody else is in, for root; its number is a uid's of the pool."""
    if os.geteuid() != 0:
        yield None
        return
    lease = uids.lease()
    try:
        yield lease.uid
    finally:
        lease.release()


def _fill(room: Workroom, lab: Lab, kit: Kit) -> None:
    _check_space(room.folder)
    for folder in (room.src, room.include, room.kit, room.made, room.programs):
        folder.mkdir()
    for header in kit.headers:
        shutil.copyfile(header, room.include / header.name)
    _copy_program(kit.puppet, room.kit)
    for program in lab.programs:
        if program.kit:
            _copy_program(kit.programs / program.name, room.programs)
    if kit.debug_symbols.exists():
        debug = shutil.copytree(kit.debug_symbols, room.kit / "debug")
        for path in (debug, *debug.rglob("*")):
            path.chmod(0o755 if path.is_dir() else 0o644)
    if room.group is not None:
        _give_to_group(room.folder, room.group)
        room.folder.chmod(0o710)


def _give_to_group(folder: Path, group: int) -> None:
    """As a member of the group: in a container root may not chown()."""
    argv = ["setpriv", f"--groups={group}", "--", "chgrp", "--", str(group), str(folder)]
    done = subprocess.run(argv, capture_output=True, text=True, errors="replace", check=False)
    if done.returncode:
        raise GraderError(f"{folder} cannot be given to group {group}: {done.stderr.strip()}")


def _copy_program(program: Path, folder: Path) -> None:
    """For every uid to run, whatever the umask was when the kit was built."""
    shutil.copyfile(program, folder / program.name)
    (folder / program.name).chmod(0o755)


def _check_space(folder: Path) -> None:
    """A full disk would look like the student's compile error."""
    status = os.statvfs(folder)
    free = status.f_bavail * status.f_frsize
    if free < NEEDED_BYTES:
        raise GraderError(
            f"only {free >> 20} MiB are free in {folder.parent}, "
            f"{NEEDED_BYTES >> 20} are needed: free some, or set TMPDIR to another folder"
        )
