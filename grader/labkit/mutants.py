"""Broken versions of the reference: solutions/NN/broken/NAME.patch.

A patch against the reference, with a head that says what is wrong and which
tests must notice, these and no others:

    What: buddies are found by the absolute address
    Fails: alignment_is_by_offset odd_length_is_usable
"""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from labkit.errors import GraderError, ManifestError
from labkit.manifest import MEMCHECK, WARNINGS, Lab
from labkit.skeleton import plain


@dataclass(frozen=True)
class Mutant:
    """One bug; `fails` may hold "memcheck" and "warnings" besides tests."""

    name: str
    patch: Path
    what: str
    fails: frozenset[str]


class MutantError(ManifestError):
    """A broken version that cannot be made; the message names its patch."""


def mutant_paths(lab: Lab) -> tuple[Path, ...]:
    """The patches of a lab, in order."""
    return tuple(sorted((lab.soldir / "broken").glob("*.patch")))


def load_mutant(path: Path, lab: Lab) -> Mutant:
    """Reads the head of a patch and checks its names against the lab."""
    head, _, _ = path.read_text(encoding="utf-8").partition("\n--- ")
    what = _line(head, "What", path)
    fails = frozenset(_line(head, "Fails", path).split())
    known = {t.name for t in lab.tests}
    known |= {MEMCHECK} if lab.memcheck else set()
    known |= {WARNINGS} if lab.warnings else set()
    if unknown := fails - known:
        raise MutantError(f"{path}: Fails: there is no test {', '.join(sorted(unknown))}")
    return Mutant(name=path.stem, patch=path, what=what, fails=fails)


def _line(head: str, key: str, path: Path) -> str:
    """The value of `key: value`; lines that are indented go on with it."""
    found = re.findall(rf"^{key}:[ \t]*(.*(?:\n[ \t]+.*)*)", head, flags=re.MULTILINE)
    if len(found) != 1 or not found[0].strip():
        raise MutantError(f"{path}: needs one line '{key}: ...' before the patch")
    return " ".join(found[0].split())


def write_mutant(mutant: Mutant, lab: Lab, into: Path) -> None:
    """The broken version as a student would hand it in."""
    into.mkdir(parents=True, exist_ok=True)
    for name in lab.files:
        shutil.copyfile(lab.soldir / name, into / name)
    command = ["patch", "-p1", "--fuzz=0", "--batch", "--no-backup-if-mismatch"]
    command += ["--reject-file=-", "--directory", str(into), "--input", str(mutant.patch)]
    try:
        run = subprocess.run(command, capture_output=True, text=True, check=False)
    except FileNotFoundError as error:
        raise GraderError("patch is missing: apt-get install patch") from error
    if run.returncode != 0:
        raise MutantError(f"{mutant.patch}: does not apply:\n{run.stdout.strip()}")
    if unlisted := {p.name for p in into.iterdir()} - set(lab.files):
        raise MutantError(f"{mutant.patch}: touches {', '.join(sorted(unlisted))}")
    changed = False
    for name in lab.files:
        text = plain(into / name, solution=True)
        changed |= text != plain(lab.soldir / name, solution=True)
        (into / name).write_text(text, encoding="utf-8")
    if not changed:
        raise MutantError(f"{mutant.patch}: changes the skeleton only, not the reference")
