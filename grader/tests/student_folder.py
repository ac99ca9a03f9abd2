"""Copies what a student receives, with or without a solution in it."""

import shutil
import subprocess
from pathlib import Path
from typing import Final

from labkit.lab.manifest import load_lab

ROOT: Final = Path(__file__).parents[2]


def copy_labs(into: Path) -> Path:
    """Copies labs/ without build directories."""
    return Path(shutil.copytree(ROOT / "labs", into, ignore=shutil.ignore_patterns("build")))


def solve(labs: Path, name: str) -> Path:
    """Replaces the skeleton by the reference."""
    lab = load_lab(ROOT, name)
    for file in lab.files:
        subprocess.run(
            ["unifdef", "-DSOLUTION", "-o", labs / name / file, lab.soldir / file], check=False
        )
    return labs / name
