"""Reads the names of a lab's source files from its Makefile, which alone lists them."""

import os
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from labkit.errors import GraderError, ManifestError
from labkit.tools import need_tool

FILE_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")


@dataclass(frozen=True)
class Program:
    """An executable that tests start in the sandbox."""

    name: str
    sources: tuple[str, ...]
    given: bool = False  # it comes with the lab, and is trusted; otherwise students hand it in


@dataclass(frozen=True)
class Sources:
    """The source files of a lab, by purpose."""

    submission: tuple[str, ...] = ()  # written by students; linked with `given` into submission.so
    given: tuple[str, ...] = ()  # complete files of the lab, which students do not hand in
    programs: tuple[Program, ...] = ()

    @property
    def handed_in(self) -> tuple[str, ...]:
        """Every file that a student hands in, each once, in the Makefile's order."""
        of_programs = [s for p in self.programs if not p.given for s in p.sources]
        return tuple(dict.fromkeys([*self.submission, *of_programs]))


def read_sources(labdir: Path) -> Sources:
    """Reads the lab's Makefile; ManifestError if it names no file to hand in."""
    found: dict[str, list[list[str]]] = {}
    for line in make(labdir, "print-files").splitlines():
        kind, *names = line.split() or [""]
        if wrong := [name for name in names if not FILE_NAME.fullmatch(name)]:
            raise ManifestError(f"{labdir / 'Makefile'}: {wrong[0]!r} is not a valid file name")
        if names:
            found.setdefault(kind, []).append(names)
    programs = [
        Program(name=name, sources=tuple(files), given=kind == "given-program")
        for kind in ("program", "given-program")
        for name, *files in found.get(kind, [])
    ]
    sources = Sources(
        submission=tuple(name for names in found.get("submission", []) for name in names),
        given=tuple(name for names in found.get("given", []) for name in names),
        programs=tuple(programs),
    )
    if not sources.handed_in:
        raise ManifestError(f"{labdir / 'Makefile'}: names no file to hand in (SUBMISSION)")
    return sources


def make(labdir: Path, *arguments: str) -> str:
    """Runs `make` in a lab's directory and returns its output; GraderError if it fails."""
    need_tool("make")
    env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    done = subprocess.run(
        ["make", "-s", "--no-print-directory", "-C", str(labdir), *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        env=env | {"LC_ALL": "C"},
        check=False,
    )
    if done.returncode:
        raise GraderError(f"make {arguments[-1]} failed in {labdir}:\n{done.stderr[-4000:]}")
    return done.stdout
