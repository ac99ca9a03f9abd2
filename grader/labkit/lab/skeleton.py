"""Generates the skeleton from the reference, which is the only source of both.

solutions/NN/FILE contains `#ifdef SOLUTION ... #else ... #endif`.  Without SOLUTION it is the
skeleton, as it lies in labs/NN; with SOLUTION it is the reference as a student would hand it in.
"""

import difflib
import shutil
import subprocess
from pathlib import Path
from typing import Final

from labkit.errors import ManifestError
from labkit.lab.manifest import Lab
from labkit.tools import need_tool

_UNIFDEF_FAILED: Final = 2  # 0: nothing to remove, 1: something removed


def preprocessed(path: Path, *, solution: bool) -> str:
    """A file of solutions/ without its SOLUTION conditions."""
    flag = "-DSOLUTION" if solution else "-USOLUTION"
    run = subprocess.run([need_tool("unifdef"), flag, path], capture_output=True, check=False)
    if run.returncode >= _UNIFDEF_FAILED or run.returncode < 0:
        raise ManifestError(f"{path}: {run.stderr.decode(errors='replace').strip()}")
    try:
        return run.stdout.decode()
    except UnicodeDecodeError as error:
        raise ManifestError(f"{path}: not UTF-8: {error}") from error


def write_reference(lab: Lab, into: Path) -> None:
    """Writes the reference as a student would hand it in."""
    into.mkdir(parents=True, exist_ok=True)
    for name in lab.files:
        (into / name).write_text(preprocessed(lab.soldir / name, solution=True), encoding="utf-8")


def write_accepted(lab: Lab, folder: Path, into: Path) -> None:
    """Writes an accepted solution as handed in; missing files come from the reference."""
    own = [name for name in lab.files if (folder / name).exists()]
    if not own:
        raise ManifestError(f"{folder}: contains none of {', '.join(lab.files)}")
    write_reference(lab, into)
    for name in own:
        shutil.copyfile(folder / name, into / name)


def write_skeleton(lab: Lab) -> tuple[str, ...]:
    """Updates the skeleton in labs/NN; returns the files that changed."""
    changed = []
    for name in lab.files:
        path = lab.labdir / name
        text = preprocessed(lab.soldir / name, solution=False)
        if _text(path) != text:
            path.write_text(text, encoding="utf-8")
            changed.append(name)
    return tuple(changed)


def skeleton_diff(lab: Lab) -> str:
    """The diff between labs/NN and the generated skeleton; "" if they are equal."""
    lines: list[str] = []
    for name in lab.files:
        expected = preprocessed(lab.soldir / name, solution=False)
        lines += difflib.unified_diff(
            _text(lab.labdir / name).splitlines(keepends=True),
            expected.splitlines(keepends=True),
            fromfile=f"labs/{lab.name}/{name}",
            tofile=f"generated from solutions/{lab.name}/{name}",
        )
    return "".join(line if line.endswith("\n") else line + "\n" for line in lines)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except UnicodeDecodeError as error:
        raise ManifestError(f"{path}: not UTF-8: {error}") from error
