"""For which contents of a lab the full matrix was last seen to hold: solutions/NN/verified.json.

`labkit verify` writes it, and it is kept in the repository.  It decides how much `make test` runs
of the broken versions, and nothing else.
"""

import json
from pathlib import Path
from typing import Final

from labkit.errors import GraderError
from labkit.lab.kit import contents_hash, kit_files
from labkit.lab.manifest import Lab

RECORD: Final = "verified.json"
SUFFIXES: Final = (".c", ".h", ".patch", ".toml")


def is_verified(lab: Lab) -> bool:
    """Whether the full matrix was seen to hold for the lab as it lies there."""
    try:
        stored = json.loads(_path(lab).read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return False
    return isinstance(stored, dict) and stored.get("contents") == _contents(lab)


def record_verified(lab: Lab) -> None:
    """Notes that the full matrix holds for the lab as it lies there."""
    text = json.dumps({"contents": _contents(lab)}, indent=1) + "\n"
    try:
        _path(lab).write_text(text, encoding="utf-8")
    except OSError as error:
        raise GraderError(f"{_path(lab)} cannot be written: {error}") from error


def _path(lab: Lab) -> Path:
    return lab.soldir / RECORD


def _contents(lab: Lab) -> str:
    """A hash of all that the verdicts depend on but the grader's own Python and the compiler."""
    files = {*kit_files(lab), *(lab.labdir / name for name in lab.files)}
    bench = lab.soldir / "bench"
    files |= {
        p for p in lab.soldir.rglob("*") if p.suffix in SUFFIXES and not p.is_relative_to(bench)
    }
    return contents_hash(sorted(files), lab.root)
