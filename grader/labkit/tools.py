"""The only list of the programs that labkit runs, with the Debian package of each."""

import shutil
from dataclasses import dataclass
from typing import Final

from labkit.errors import GraderError


@dataclass(frozen=True)
class Tool:
    """A program, and the Debian package that contains it."""

    name: str
    package: str
    grading: bool = True  # False: only sandboxes of one kind, or authors of labs, need it


TOOLS: Final = (
    Tool("gcc", "gcc"),
    Tool("make", "make"),
    Tool("valgrind", "valgrind"),
    Tool("bwrap", "bubblewrap", grading=False),
    Tool("setpriv", "util-linux", grading=False),
    Tool("ipcrm", "util-linux", grading=False),
    Tool("find", "findutils", grading=False),
    Tool("xargs", "findutils", grading=False),
    Tool("chgrp", "coreutils", grading=False),
    Tool("unifdef", "unifdef", grading=False),
    Tool("patch", "patch", grading=False),
)
_PACKAGES: Final = {tool.name: tool.package for tool in TOOLS}


def need_tool(name: str) -> str:
    """The path of a program; GraderError with the package to install when it is missing."""
    path = shutil.which(name)
    if path is None:
        raise GraderError(
            f"{name} is not installed: apt-get install {_PACKAGES[name]} "
            "(`labkit doctor` lists everything that is missing)"
        )
    return path
