"""pytest as a harness for labs: every graded test is an item.

    pytest solutions/01-buddy/lab.toml --submission ~/inbox/doe.zip -k alloc -x
    pytest solutions --verify -n 2 --junitxml=build/verify.xml

Without --submission it is the reference that is tested; with --verify each
check of `labkit verify` is an item instead.  A failed test is a failure, a
grader that breaks an error, as in `labkit grade`.  Hooks alone live here.
"""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import pytest

if TYPE_CHECKING:
    from labkit.manifest import Lab
    from labkit.run import Bench
    from labkit.verify import Check

LAB_FILE: Final = "lab.toml"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the options of a group of their own."""
    group = parser.getgroup("labkit", "labs of the C lab kit (solutions/NN/lab.toml)")
    group.addoption(
        "--submission", type=Path, help="folder, file or archive to test; default: the reference"
    )
    group.addoption("--box", default="auto", help="kind of box: auto, bwrap, uid or none")
    group.addoption("--verify", action="store_true", help="verify the labs: one item for a check")
    group.addoption(
        "--verify-repeat",
        type=int,
        default=1,
        metavar="N",
        help="gradings of the reference and of each accepted solution; the last under load",
    )


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> "LabFile | None":
    """A lab.toml is a file of tests when it is that of a lab."""
    if file_path.name != LAB_FILE or file_path.parents[1].name != "solutions":
        return None
    return LabFile.from_parent(parent, path=file_path)


class LabFile(pytest.File):
    """A lab, and the submission of it that is tested."""

    def collect(self) -> Iterator[pytest.Item]:
        """The items, in the order of the rubric or of the checks."""
        from labkit.errors import LabkitError
        from labkit.manifest import load_lab

        try:
            lab = load_lab(self.path.parents[2], self.path.parent.name)
        except LabkitError as error:
            raise self.CollectError(str(error)) from error
        if self.config.getoption("--verify"):
            yield from self._checks(lab)
        else:
            yield from self._graded(lab)

    def _checks(self, lab: "Lab") -> Iterator[pytest.Item]:
        from labkit.verify import Options, checks

        repeat = self.config.getoption("--verify-repeat")
        options = Options(box=self.config.getoption("--box"), repeat=repeat, load=repeat > 1)
        for check in checks(lab, options):
            yield LabItem.from_parent(self, name=check.name, work=CheckWork(check))

    def _graded(self, lab: "Lab") -> Iterator[pytest.Item]:
        from labkit.manifest import MEMCHECK, WARNINGS

        names = [t.name for t in lab.tests]
        names += [WARNINGS] if lab.warnings else []
        names += [MEMCHECK] if lab.memcheck else []
        shared = SharedBench(lab, self.config)
        for name in names:
            yield LabItem.from_parent(self, name=name, work=TestWork(name, shared))


class Work(Protocol):
    """What an item does: done in its setup, so that a grader error is an error there."""

    def do(self) -> str:
        """What is wrong, "" when nothing is; GraderError when the grader breaks."""


class LabItem(pytest.Item):
    """A graded test, or a check of a lab."""

    def __init__(self, *, name: str, parent: pytest.Collector, work: Work) -> None:
        super().__init__(name, parent)
        self._work = work
        self._wrong = ""

    def setup(self) -> None:
        """Does the work; what stops it is an error here, not a failed test."""
        from labkit.errors import GraderError, LabkitError

        try:
            self._wrong = self._work.do()
        except LabkitError as error:
            kind = "grader error: " if isinstance(error, GraderError) else ""
            pytest.fail(f"{kind}{error}", pytrace=False)

    def runtest(self) -> None:
        """Says what came of it."""
        if self._wrong:
            pytest.fail(self._wrong, pytrace=False)

    def reportinfo(self) -> tuple[Path, None, str]:
        """Where it stands: the lab's own lab.toml."""
        return self.path, None, self.name


class CheckWork:
    """A check of `labkit verify`."""

    def __init__(self, check: "Check") -> None:
        self._check = check

    def do(self) -> str:
        """Runs it."""
        from labkit.errors import GraderError
        from labkit.verify import run_check

        outcome = run_check(self._check)
        problems = "\n".join(outcome.problems)
        if outcome.verdict == "error":
            raise GraderError(problems)
        return problems


class TestWork:
    """A graded test of one submission."""

    __test__ = False  # for pytest: not a class of tests

    def __init__(self, name: str, shared: "SharedBench") -> None:
        self._name = name
        self._shared = shared

    def do(self) -> str:
        """Runs it in a box of its own."""
        from labkit.errors import GraderError
        from labkit.manifest import MEMCHECK, WARNINGS
        from labkit.run import run_memcheck, run_test
        from labkit.score import describe

        bench = self._shared.bench()
        if self._name == WARNINGS and bench.build.ok:
            return "\n".join(f"{w.file}:{w.line}: {w.message}" for w in bench.build.warnings)
        if not bench.build.ok:
            return f"the submission does not compile\n{bench.build.output}"
        if self._name == MEMCHECK:
            pass_ = run_memcheck(bench)
            found = [pass_.message, *map(describe, pass_.findings)]
            status, message = pass_.status, "\n".join(found)
        else:
            run = run_test(bench, self._name)
            status, message = run.status, f"{run.message}\n{run.output}".strip()
        if status == "error":
            raise GraderError(message)
        return "" if status == "pass" else message or "failed"


class SharedBench:
    """The submission, compiled when the first item needs it, once in a process."""

    def __init__(self, lab: "Lab", config: pytest.Config) -> None:
        self._lab = lab
        self._config = config
        self._bench: Bench | None = None

    def bench(self) -> "Bench":
        """The compiled submission; it is cleared away at the end of the session."""
        if self._bench is None:
            self._bench = self._make()
        return self._bench

    def _make(self) -> "Bench":
        from labkit.grade import bench
        from labkit.skeleton import write_reference

        stack = ExitStack()
        self._config.add_cleanup(stack.close)
        source = self._config.getoption("--submission")
        if source is None:
            source = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="labkit-ref-")))
            write_reference(self._lab, source)
        ready, _ = stack.enter_context(
            bench(self._lab, source, box=self._config.getoption("--box"))
        )
        return ready
