"""Finds code that silences gcc's warnings: by a pragma, or by posing as a system header.

It reads the output of `gcc -E -Wpedantic`.  There, gcc itself has resolved spliced lines, comments,
digraphs, included files, macros and _Pragma.  The line markers in it tell system headers, whose
pragmas are fine, from the student's code.
"""

import re
from collections.abc import Iterable, Iterator
from os.path import normpath
from typing import Final

from labkit.result import Diagnostic

MARKER: Final = re.compile(r'^# (\d{1,10}) "((?:[^"\\]|\\.)*)"((?: [1234])*)$')
ENTERS, LEAVES, SYSTEM, FROM_A_DIRECTORY = "1234"  # the flags of a marker
SYSTEM_HEADERS: Final = "/usr/"
IGNORED: Final = re.compile(r"^\s*#\s*pragma\s+GCC\s+diagnostic\s+ignored")
# What gcc -Wpedantic says of `# 1 "file" 3` in a source file.
OWN_MARKER: Final = re.compile(
    r"^(.*?):(\d{1,10}):\d{1,10}: warning: style of line directive is a GCC extension", re.MULTILINE
)
MAX_SHOWN: Final = 80

POINTS: Final = "; points are for code that has no warning, not for code that hides it"


def silenced(preprocessed: Iterable[str], said: str) -> tuple[Diagnostic, ...]:
    """The lines that silence warnings; `said` is gcc's output."""
    found = [
        Diagnostic(_name(m[1]), int(m[2]), f"a line marker hides warnings{POINTS}")
        for m in OWN_MARKER.finditer(said)
    ]
    return tuple(dict.fromkeys([*found, *_in(preprocessed)]))


def _in(lines: Iterable[str]) -> Iterator[Diagnostic]:
    """Follows the line markers through the files.

    Tokens of a system header's macro have a marker with SYSTEM too, but without ENTERS, and with
    FROM_A_DIRECTORY, which `#pragma GCC system_header` does not set.
    """
    system = [False]  # of each file that is open, whether it is a system header
    file, line = "", 0
    for text in lines:
        if not text.startswith("#"):
            line += 1
            continue
        marker = MARKER.match(text)
        if marker is None:
            if IGNORED.match(text) and not system[-1]:
                shown = text.strip()[:MAX_SHOWN]
                yield Diagnostic(file, line, f"{shown} hides warnings{POINTS}")
            line += 1
            continue
        line, file, flags = int(marker[1]), _name(marker[2]), marker[3]
        poses = False
        if LEAVES in flags:
            system = system[:-1] or [False]
        elif ENTERS in flags:
            system.append(SYSTEM in flags)
            poses = system[-1] and not normpath(file).startswith(SYSTEM_HEADERS)
        elif SYSTEM in flags and FROM_A_DIRECTORY not in flags:
            poses = not system[-1]
        if poses:
            yield Diagnostic(
                file, line, f"code that poses as a system header hides warnings{POINTS}"
            )


def _name(name: str) -> str:
    return name.removeprefix("./")
