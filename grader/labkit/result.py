"""The result of a graded submission, schema labkit/result/v1.

All reports (terminal, Markdown, JUnit, a platform's JSON) are written from it.  This module also
defines the types that a result consists of and that other modules produce: Status, Diagnostic,
Place and Finding.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Final, Literal

import msgspec

from labkit.errors import UsageError

SCHEMA: Final = "labkit/result/v1"

Status = Literal["pass", "fail", "error"]
RunStatus = Literal["graded", "error", "incomplete"]
Detail = Literal["open", "named", "secret"]

WARNINGS: Final = "warnings"  # the two lines of the rubric that are not tests
MEMCHECK: Final = "memcheck"
EXTRA_TITLE: Final = "Code and memory"  # their heading


@dataclass(frozen=True, order=True)
class Diagnostic:
    """A compiler warning and the line that it names."""

    file: str
    line: int
    message: str


@dataclass(frozen=True)
class Place:
    """A line of the student's code."""

    function: str
    file: str
    line: int  # 0: unknown


@dataclass(frozen=True)
class Finding:
    """A memory error or leak, with the stack frames in student code, innermost first."""

    message: str
    where: tuple[Place, ...]


@dataclass(frozen=True)
class Shown:
    """What students see of a test; score.py decides it by the test's level of detail."""

    name: str  # of a secret test: secret_test_N
    rule: str
    message: str = ""
    output: str = ""  # what the submission printed
    reproduce: str = ""  # the command that reproduces the failure


@dataclass(frozen=True)
class TestResult:
    """The result of a line of the rubric.  Reports for students take all text from `shown`."""

    __test__ = False  # for pytest: not a class of tests

    name: str
    group: str  # "" for warnings and memcheck
    status: Status
    points: float
    max_points: float
    detail: Detail
    shown: Shown
    rule: str = ""
    log: str = ""  # the complete message of the test, for the instructor
    seconds: float = 0.0


@dataclass(frozen=True)
class SubmissionInfo:
    """What was graded."""

    name: str
    hash: str
    files: tuple[str, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class BuildInfo:
    """The outcome of compiling."""

    ok: bool
    output: str
    warnings: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True)
class Result:
    """A graded submission; `score` is None unless the grading was completed."""

    lab: str
    title: str
    status: RunStatus
    score: float | None
    max_score: float
    submission: SubmissionInfo
    build: BuildInfo
    tests: tuple[TestResult, ...]
    memcheck: tuple[Finding, ...]
    groups: Mapping[str, str]  # name to title, in order
    limits: Mapping[str, int]
    flags: tuple[str, ...]
    compiler: str
    sandbox: str
    kit: str
    image: str | None
    seed: int
    seconds: float

    @property
    def failed(self) -> tuple[TestResult, ...]:
        """The tests that did not pass, including those with a grader error."""
        return tuple(t for t in self.tests if t.status != "pass")

    @property
    def headline(self) -> str:
        """The score, or why there is none."""
        if self.status == "graded" and self.score is not None:
            return f"{self.score:g} of {self.max_score:g} points"
        if self.status == "incomplete":
            return "no score, the grading was interrupted"
        return "no score, the grader failed"

    def to_json(self) -> str:
        """The result.json of a submission.

        It is plain ASCII: a terminal that shows it interprets no character of a student's.
        """
        text = json.dumps({"schema": SCHEMA} | asdict(self), indent=1)
        return text.replace("\x7f", "\\u007f") + "\n"


@dataclass(frozen=True)
class ClassEntry:
    """One submission of a class: its result, or why there is none."""

    name: str
    result: Result | None
    problem: str = ""


def from_json(text: str) -> Result:
    """Reads what to_json() wrote; UsageError for anything else."""
    try:
        raw = json.loads(text)
        schema = raw.pop("schema")
        result = msgspec.convert(raw, Result)
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        raise UsageError(f"not a {SCHEMA}: {error}") from error
    if schema != SCHEMA:
        raise UsageError(f"not a {SCHEMA}: {schema!r}")
    return result
