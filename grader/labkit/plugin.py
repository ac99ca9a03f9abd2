"""pytest as a harness for labs: every graded test is an item.

    pytest solutions/01-buddy/lab.toml --submission ~/inbox/doe.zip -k alloc -x
    pytest solutions --verify -n 2 --junitxml=build/verify.xml

Without --submission the reference is tested.  With --verify the items are the checks of `labkit
verify`.  A failed test is a failure; a failure of the grader is an error, as in `labkit grade`.
This file contains only the hooks.
"""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol

import pytest

if TYPE_CHECKING:
    from labkit.grading.run import CompiledSubmission
    from labkit.lab.manifest import Lab
    from labkit.proof.verify import Check

LAB_FILE: Final = "lab.toml"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the option group of labkit."""
    group = parser.getgroup("labkit", "labs of the C lab kit (solutions/NN/lab.toml)")
    group.addoption(
        "--submission", type=Path, help="directory, file or archive to test; default: the reference"
    )
    group.addoption(
        "--sandbox", "--box", default="auto", help="kind of sandbox: auto, bwrap, uid or none"
    )
    group.addoption(
        "--verify", action="store_true", help="verify the labs: one item for each check"
    )
    group.addoption(
        "--verify-full",
        action="store_true",
        help="all tests of every broken version, also of labs that have not changed",
    )
    group.addoption(
        "--verify-repeat",
        type=int,
        default=1,
        metavar="N",
        help="grade the reference and each accepted solution N times, the last time under load",
    )


def pytest_collect_file(file_path: Path, parent: pytest.Collector) -> "LabFile | None":
    """Collects solutions/NN/lab.toml; other TOML files are ignored."""
    if file_path.name != LAB_FILE or file_path.parents[1].name != "solutions":
        return None
    return LabFile.from_parent(parent, path=file_path)


class LabFile(pytest.File):
    """The lab.toml of a lab."""

    def collect(self) -> Iterator[pytest.Item]:
        """The items, in the order of the rubric or of the checks."""
        from labkit.errors import LabkitError
        from labkit.lab.manifest import load_lab

        try:
            lab = load_lab(self.path.parents[2], self.path.parent.name)
        except LabkitError as error:
            raise self.CollectError(str(error)) from error
        if self.config.getoption("--verify"):
            yield from self._checks(lab)
        else:
            yield from self._graded(lab)

    def _checks(self, lab: "Lab") -> Iterator[pytest.Item]:
        from labkit.proof.record import is_verified
        from labkit.proof.verify import Options, checks

        repeat = self.config.getoption("--verify-repeat")
        options = Options(
            sandbox=self.config.getoption("--sandbox"),
            repeat=repeat,
            load=repeat > 1,
            full=self.config.getoption("--verify-full") or not is_verified(lab),
        )
        for check in checks(lab, options):
            yield LabItem.from_parent(self, name=check.name, work=CheckWork(check))

    def _graded(self, lab: "Lab") -> Iterator[pytest.Item]:
        shared = SharedSubmission(lab, self.config)
        for name in lab.graded:
            yield LabItem.from_parent(self, name=name, work=TestWork(name, shared))


class Work(Protocol):
    """The work of an item.  It runs in the item's setup, so that pytest reports a grader error."""

    def do(self) -> str:
        """Returns the problem, or "" if there is none; GraderError if the grader fails."""


class LabItem(pytest.Item):
    """A graded test, or a check of a lab."""

    def __init__(self, *, name: str, parent: pytest.Collector, work: Work) -> None:
        super().__init__(name, parent)
        self._work = work
        self._problem = ""

    def setup(self) -> None:
        """Does the work; pytest reports an exception here as an error, not as a failed test."""
        from labkit.errors import GraderError, LabkitError

        try:
            self._problem = self._work.do()
        except LabkitError as error:
            kind = "grader error: " if isinstance(error, GraderError) else ""
            pytest.fail(f"{kind}{error}", pytrace=False)

    def runtest(self) -> None:
        """Fails with the problem that the work found."""
        if self._problem:
            pytest.fail(self._problem, pytrace=False)

    def reportinfo(self) -> tuple[Path, None, str]:
        """The location of the item: the lab's lab.toml."""
        return self.path, None, self.name


class CheckWork:
    """A check of `labkit verify`."""

    def __init__(self, check: "Check") -> None:
        self._check = check

    def do(self) -> str:
        """Runs the check."""
        from labkit.errors import GraderError
        from labkit.proof.verify import run_check

        outcome = run_check(self._check)
        problems = "\n".join(outcome.problems)
        if outcome.verdict == "error":
            raise GraderError(problems)
        return problems


class TestWork:
    """A graded test of one submission."""

    __test__ = False  # for pytest: not a class of tests

    def __init__(self, name: str, shared: "SharedSubmission") -> None:
        self._name = name
        self._shared = shared

    def do(self) -> str:
        """Runs the test in a fresh sandbox."""
        from labkit.errors import GraderError
        from labkit.grading.run import run_memcheck, run_test
        from labkit.grading.score import NO_COMPILE, memcheck_message, warnings_message
        from labkit.result import MEMCHECK, WARNINGS

        submission = self._shared.compiled()
        build = submission.build
        if self._name == WARNINGS and build.ok:
            return warnings_message(build.warnings)
        if not build.ok:
            return f"{NO_COMPILE}\n{build.output}"
        if self._name == MEMCHECK:
            memcheck = run_memcheck(submission)
            status, message = memcheck.status, memcheck_message(memcheck)
        else:
            run = run_test(submission, self._name)
            status, message = run.status, f"{run.message}\n{run.output}".strip()
        if status == "error":
            raise GraderError(message)
        return "" if status == "pass" else message or "failed"


class SharedSubmission:
    """The submission, compiled once per process, when the first item needs it."""

    def __init__(self, lab: "Lab", config: pytest.Config) -> None:
        self._lab = lab
        self._config = config
        self._compiled: CompiledSubmission | None = None

    def compiled(self) -> "CompiledSubmission":
        """The compiled submission; it is deleted at the end of the run of pytest."""
        if self._compiled is None:
            self._compiled = self._make()
        return self._compiled

    def _make(self) -> "CompiledSubmission":
        from labkit.grading.grade import compiled
        from labkit.lab.skeleton import write_reference

        stack = ExitStack()
        self._config.add_cleanup(stack.close)
        source = self._config.getoption("--submission")
        if source is None:
            source = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="labkit-ref-")))
            write_reference(self._lab, source)
        submission, _ = stack.enter_context(
            compiled(self._lab, source, sandbox=self._config.getoption("--sandbox"))
        )
        return submission
