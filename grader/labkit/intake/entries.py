"""One thing that was handed in, wherever it came from: collect.py and archives.py share it."""

import stat
from dataclasses import dataclass
from typing import Final

FILE: Final = "file"
DIRECTORY: Final = "directory"


@dataclass(frozen=True)
class Entry:
    """A file or something else; `path` is as it stands in the submission."""

    path: str
    kind: str  # FILE, DIRECTORY or what else it is, for a message
    data: bytes = b""  # of a file in an archive that was asked for


def mode_kind(mode: int) -> str:
    """What a file is by its mode; no type at all (as Windows packs) is a file."""
    kinds = {
        0: FILE,
        stat.S_IFREG: FILE,
        stat.S_IFDIR: DIRECTORY,
        stat.S_IFLNK: "symbolic link",
        stat.S_IFIFO: "FIFO",
        stat.S_IFSOCK: "socket",
    }
    return kinds.get(stat.S_IFMT(mode), "device")
