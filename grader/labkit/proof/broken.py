"""Broken versions of the reference: solutions/NN/broken/NAME.patch.

Each is a patch against the reference.  Its head describes the bug and names the tests that must
fail; no others may fail:

    What: buddies are found by the absolute address
    Fails: alignment_is_by_offset odd_length_is_usable
"""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from labkit.errors import ManifestError
from labkit.lab.manifest import Lab
from labkit.lab.skeleton import preprocessed
from labkit.tools import need_tool


@dataclass(frozen=True)
class BrokenVersion:
    """A version with one bug; `fails` may contain "memcheck" and "warnings" besides tests."""

    name: str
    patch: Path
    what: str
    fails: frozenset[str]


class BrokenVersionError(ManifestError):
    """A broken version cannot be made; the message names its patch."""


def broken_paths(lab: Lab) -> tuple[Path, ...]:
    """The patches of a lab, in order."""
    return tuple(sorted((lab.soldir / "broken").glob("*.patch")))


def load_broken(path: Path, lab: Lab) -> BrokenVersion:
    """Reads the head of a patch and checks its names against the lab."""
    head, _, _ = path.read_text(encoding="utf-8").partition("\n--- ")
    what = _line(head, "What", path)
    fails = frozenset(_line(head, "Fails", path).split())
    if unknown := fails - set(lab.graded):
        raise BrokenVersionError(f"{path}: Fails: there is no test {', '.join(sorted(unknown))}")
    return BrokenVersion(name=path.stem, patch=path, what=what, fails=fails)


def _line(head: str, key: str, path: Path) -> str:
    """The value of `key: value`; indented lines continue it."""
    found = re.findall(rf"^{key}:[ \t]*(.*(?:\n[ \t]+.*)*)", head, flags=re.MULTILINE)
    if len(found) != 1 or not found[0].strip():
        raise BrokenVersionError(f"{path}: needs one line '{key}: ...' before the patch")
    return " ".join(found[0].split())


def write_broken(version: BrokenVersion, lab: Lab, into: Path) -> None:
    """Writes the broken version as a student would hand it in."""
    into.mkdir(parents=True, exist_ok=True)
    for name in lab.files:
        shutil.copyfile(lab.soldir / name, into / name)
    command = [need_tool("patch"), "-p1", "--fuzz=0", "--batch", "--no-backup-if-mismatch"]
    command += ["--reject-file=-", "--directory", str(into), "--input", str(version.patch)]
    run = subprocess.run(command, capture_output=True, text=True, check=False)
    if run.returncode != 0:
        raise BrokenVersionError(f"{version.patch}: does not apply:\n{run.stdout.strip()}")
    if unlisted := {p.name for p in into.iterdir()} - set(lab.files):
        raise BrokenVersionError(f"{version.patch}: touches {', '.join(sorted(unlisted))}")
    changed = False
    for name in lab.files:
        text = preprocessed(into / name, solution=True)
        changed |= text != preprocessed(lab.soldir / name, solution=True)
        (into / name).write_text(text, encoding="utf-8")
    if not changed:
        raise BrokenVersionError(f"{version.patch}: changes the skeleton only, not the reference")
