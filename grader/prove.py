"""make test: everything that proves the project, with one closing summary.

Format, lint and types of Python and C come first, for they are quick; then pytest runs the grader's
own tests and, through labkit's plugin, every check of every lab.  The last
line is `N passed, N failed`, with `, N skipped` when something was.
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
# These take the names of the C files.
C_STEPS: Final = {
    "C format": ("clang-format", "--dry-run", "--Werror"),
    "C lint": (
        *("cppcheck", "--quiet", "--error-exitcode=1", "--inline-suppr", "--language=c"),
        *("--std=c11", "--enable=warning,performance,portability", "-D_GNU_SOURCE=", "-DSOLUTION"),
        # Each is about how a function could be called, which the tests decide.
        *("--suppress=varFuncNullUB", "--suppress=ctunullpointer", "--suppress=ctuuninitvar"),
        *(f"-I{path}" for path in ("labs/testkit", *sorted(map(str, Path("labs").glob("[0-9]*"))))),
    ),
}
C_FOLDERS: Final = ("labs", "solutions", "grader/tests", "grader/bench")
PROCESSES: Final = str(2 * len(os.sched_getaffinity(0)))  # many wait for a hang to be one


class Counts:
    """Counts the outcomes for the last line, and the seconds that each part takes."""

    def __init__(self) -> None:
        self.of: Counter[str] = Counter()
        self.seconds: defaultdict[str, float] = defaultdict(float)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """A test counts once: when it failed anywhere, was skipped, or its call passed."""
        self.seconds[str(Path(report.nodeid.partition("::")[0]).parent)] += report.duration
        if report.failed:
            self.of["failed"] += 1
        elif report.skipped:
            self.of["skipped"] += 1
        elif report.when == "call":
            self.of["passed"] += 1

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        """What cannot even be collected has failed."""
        if report.failed:
            self.of["failed"] += 1


def c_files() -> tuple[str, ...]:
    """Our own C files; the hostile submissions are as odd as they have to be."""
    found = (path for folder in C_FOLDERS for path in (ROOT / folder).rglob("*.[ch]"))
    return tuple(sorted(str(path) for path in found if "build" not in path.parts))


def main(arguments: Sequence[str]) -> int:
    """Runs it all; 0 when nothing failed."""
    counts = Counts()
    with_files = {name: (*words, *c_files()) for name, words in C_STEPS.items()}
    for name, (tool, *words) in (STEPS | with_files).items():
        status = subprocess.call([shutil.which(tool, path=PATH) or tool, *words], cwd=ROOT)
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
