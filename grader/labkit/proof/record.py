"""Records for which contents of a lab the full matrix last passed: solutions/NN/verified.json.

`labkit verify` writes this file, and it is part of the repository.  It decides how many tests of
the broken versions `make test` runs, and nothing else.
"""

import json
from pathlib import Path
from typing import Final

from labkit.errors import GraderError
from labkit.lab.kit import files_hash, kit_files
from labkit.lab.manifest import Lab

RECORD: Final = "verified.json"
SUFFIXES: Final = (".c", ".h", ".patch", ".toml")


def is_verified(lab: Lab) -> bool:
    """Whether the full matrix passed for the current contents of the lab."""
    try:
        stored = json.loads(_path(lab).read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return False
    return isinstance(stored, dict) and stored.get("contents") == _contents(lab)


def record_verified(lab: Lab) -> None:
    """Records that the full matrix passed for the current contents of the lab."""
    text = json.dumps({"contents": _contents(lab)}, indent=1) + "\n"
    try:
        _path(lab).write_text(text, encoding="utf-8")
    except OSError as error:
        raise GraderError(f"{_path(lab)} cannot be written: {error}") from error


def _path(lab: Lab) -> Path:
    return lab.soldir / RECORD


def _contents(lab: Lab) -> str:
    """A hash of all that verdicts depend on, except the grader's Python code and the compiler."""
    files = {*kit_files(lab), *(lab.labdir / name for name in lab.files)}
    bench = lab.soldir / "bench"
    files |= {
        p for p in lab.soldir.rglob("*") if p.suffix in SUFFIXES and not p.is_relative_to(bench)
    }
    return files_hash(files, lab.root)
