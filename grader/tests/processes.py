"""Finds running processes, for tests that interrupt labkit and check what is left."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

WAIT_SECONDS: Final = 60


def wait_until(condition: Callable[[], object]) -> None:
    """Waits until the condition is true; AssertionError after WAIT_SECONDS."""
    deadline = time.monotonic() + WAIT_SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def descendants(pid: int, name: str) -> list[int]:
    """Descendants of `pid` whose command line contains `name`."""
    children = Path(f"/proc/{pid}/task").glob("*/children")
    pids = [int(p) for file in children for p in _text(file).split()]
    found = [p for p in pids if name in _command(p)]
    return found + [d for p in pids for d in descendants(p, name)]


def _text(file: Path) -> str:
    """A file of a process; "" when that has ended."""
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return ""


def _command(pid: int) -> str:
    return _text(Path(f"/proc/{pid}/cmdline"))


def processes_with(text: str) -> list[int]:
    """Processes whose command line contains the text."""
    pids = [int(p.name) for p in Path("/proc").iterdir() if p.name.isdigit()]
    return [pid for pid in pids if text in _command(pid)]
