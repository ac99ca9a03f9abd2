"""An entry of a submission; collect.py, archives.py and tar.py share it."""

import stat
from dataclasses import dataclass
from typing import Final

from labkit.errors import SubmissionError

FILE: Final = "file"
DIRECTORY: Final = "directory"
MAX_NAME_BYTES: Final = 4096  # PATH_MAX


@dataclass(frozen=True)
class Entry:
    """A file, a directory or another entry; `path` is relative to the submission."""

    path: str
    kind: str  # FILE, DIRECTORY, or a description for messages
    data: bytes = b""  # only for wanted files of an archive


def mode_kind(mode: int) -> str:
    """The kind of a file by its mode; no type at all (zips from Windows) is a regular file."""
    kinds = {
        0: FILE,
        stat.S_IFREG: FILE,
        stat.S_IFDIR: DIRECTORY,
        stat.S_IFLNK: "symbolic link",
        stat.S_IFIFO: "FIFO",
        stat.S_IFSOCK: "socket",
    }
    return kinds.get(stat.S_IFMT(mode), "device")


def too_long() -> SubmissionError:
    """The error for a name that no file system would accept."""
    return SubmissionError(
        f"the archive contains a name of more than {MAX_NAME_BYTES} bytes: "
        "pack only the files that the lab asks for"
    )
