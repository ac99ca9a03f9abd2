"""make test: all checks of the project, with one summary at the end.

Format, lint and types of Python and C come first, because they are quick.  Then pytest runs the
grader's own tests and, through labkit's plugin, every check of every lab.  The last line is
`N passed, N failed`, and `, N skipped` if tests were skipped.
"""

import os
import shutil
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pytest

ROOT: Final = Path(__file__).parents[1]
PATH: Final = f"{Path(sys.executable).parent}:/usr/bin:/bin"
STEPS: Final = {
    "format": ("ruff", "format", "--check", "--quiet", "grader"),
    "lint": ("ruff", "check", "--quiet", "grader"),
    "types": ("mypy",),
}
# Each command gets the names of the C files as arguments.
C_STEPS: Final = {
    "C format": ("clang-format", "--dry-run", "--Werror"),
    "C lint": (
        *("cppcheck", "--quiet", "--error-exitcode=1", "--inline-suppr", "--language=c"),
        *("--std=c11", "--enable=warning,performance,portability", "-D_GNU_SOURCE=", "-DSOLUTION"),
        # These warn about possible callers; the tests decide how functions are called.
        *("--suppress=varFuncNullUB", "--suppress=ctunullpointer", "--suppress=ctuuninitvar"),
        *(f"-I{path}" for path in ("labs/testkit", *sorted(map(str, Path("labs").glob("[0-9]*"))))),
    ),
}
GRADER_FOLDERS: Final = ("grader/labkit", "grader/tests", "grader/bench", "grader/fuzz")
C_FOLDERS: Final = ("labs", "solutions", *GRADER_FOLDERS)
PROCESSES: Final = str(2 * len(os.sched_getaffinity(0)))  # many tests wait for a timeout


class Counts:
    """Counts the outcomes for the last line, and the seconds that each part takes."""

    def __init__(self) -> None:
        self.of: Counter[str] = Counter()
        self.seconds: defaultdict[str, float] = defaultdict(float)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Counts a test once: if any phase failed, if it was skipped, or if its call passed."""
        self.seconds[str(Path(report.nodeid.partition("::")[0]).parent)] += report.duration
        if report.failed:
            self.of["failed"] += 1
        elif report.skipped:
            self.of["skipped"] += 1
        elif report.when == "call":
            self.of["passed"] += 1

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """Counts a file that cannot be collected as failed."""
        if report.failed:
            self.of["failed"] += 1


def c_files() -> tuple[str, ...]:
    """The C files that are checked: all but the hostile submissions in grader/attacks."""
    found = (path for folder in C_FOLDERS for path in (ROOT / folder).rglob("*.[ch]"))
    return tuple(sorted(str(path) for path in found if "build" not in path.parts))


def main(arguments: Sequence[str]) -> int:
    """Runs all checks; returns 0 if none failed."""
    counts = Counts()
    c_steps = {name: (*command, *c_files()) for name, command in C_STEPS.items()}
    for name, (tool, *options) in (STEPS | c_steps).items():
        status = subprocess.call([shutil.which(tool, path=PATH) or tool, *options], cwd=ROOT)
        print(f"{name}: {'ok' if status == 0 else 'FAILED'}", flush=True)
        counts.of["passed" if status == 0 else "failed"] += 1
    chosen = list(arguments) or ["grader/tests", "solutions"]
    options = ["--verify", "-n", PROCESSES, "--dist", "worksteal", "-q", "--rootdir", str(ROOT)]
    status = pytest.main([*options, *chosen], plugins=[counts])
    if status not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
        print(f"pytest ended with status {int(status)}")
        counts.of["failed"] += counts.of["failed"] == 0
    for part, seconds in sorted(counts.seconds.items()):
        print(f"{part}: {seconds:.0f} s, {PROCESSES} tests at a time")
    skipped = f", {counts.of['skipped']} skipped" if counts.of["skipped"] else ""
    print(f"{counts.of['passed']} passed, {counts.of['failed']} failed{skipped}")
    return 1 if counts.of["failed"] else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
