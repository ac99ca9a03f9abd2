"""pytest as a harness for labs: every graded test is an item.

    pytest solutions/01-buddy/lab.toml --submission ~/inbox/doe.zip -k alloc -x
    pytest solutions --verify -n 2 --junitxml=build/verify.xml

Without --submission the reference is tested; with --verify each check of `labkit verify` is an
item instead.  A failed test is a failure, a grader that breaks is an error, as in `labkit grade`.
This file holds the hooks alone.
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
    """Adds the options of a group of their own."""
    group = parser.getgroup("labkit", "labs of the C lab kit (solutions/NN/lab.toml)")
    group.addoption(
        "--submission", type=Path, help="directory, file or archive to test; default: the reference"
    )
    group.addoption(
        "--sandbox", "--box", default="auto", help="kind of sandbox: auto, bwrap, uid or none"
    )
    group.addoption("--verify", action="store_true", help="verify the labs: one item for a check")
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
        """Runs it in a sandbox of its own."""
        from labkit.errors import GraderError
        from labkit.grading.run import run_memcheck, run_test
        from labkit.grading.score import describe
        from labkit.result import MEMCHECK, WARNINGS

        submission = self._shared.compiled()
        build = submission.build
        if self._name == WARNINGS and build.ok:
            return "\n".join(f"{w.file}:{w.line}: {w.message}" for w in build.warnings)
        if not build.ok:
            return f"the submission does not compile\n{build.output}"
        if self._name == MEMCHECK:
            memcheck = run_memcheck(submission)
            status = memcheck.status
            message = "\n".join([memcheck.message, *map(describe, memcheck.findings)])
        else:
            run = run_test(submission, self._name)
            status, message = run.status, f"{run.message}\n{run.output}".strip()
        if status == "error":
            raise GraderError(message)
        return "" if status == "pass" else message or "failed"


class SharedSubmission:
    """The submission, compiled when the first item needs it, once in a process."""

    def __init__(self, lab: "Lab", config: pytest.Config) -> None:
        self._lab = lab
        self._config = config
        self._compiled: CompiledSubmission | None = None

    def compiled(self) -> "CompiledSubmission":
        """The compiled submission; it is cleared away at the end of the session."""
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
