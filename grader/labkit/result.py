"""The one result of a graded submission, schema labkit/result/v1.

Everything that anybody reads (terminal, Markdown, JUnit, a platform's JSON) is written from this.
It also owns the few types that a result is made of and that other modules find out: Status,
Diagnostic, Place and Finding.
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

WARNINGS: Final = "warnings"  # the two results that no test of the lab's has
MEMCHECK: Final = "memcheck"
EXTRA_TITLE: Final = "Code and memory"  # the heading of the two


@dataclass(frozen=True, order=True)
class Diagnostic:
    """A compiler's warning, at the line that it names."""

    file: str
    line: int
    message: str


@dataclass(frozen=True)
class Place:
    """A line of the student's code."""

    function: str
    file: str
    line: int  # 0: not known


@dataclass(frozen=True)
class Finding:
    """A memory error or leak, with the student's part of its stack, innermost first."""

    message: str
    where: tuple[Place, ...]


@dataclass(frozen=True)
class Shown:
    """What a student sees of a test; decided by score.py from the test's level of detail."""

    name: str  # of a secret test: a number
    rule: str
    message: str = ""
    output: str = ""  # what the submission printed
    reproduce: str = ""  # the command that shows the failure at home


@dataclass(frozen=True)
class TestResult:
    """One line of the rubric.  Writers for students take all text from `shown`."""

    __test__ = False  # for pytest: not a class of tests

    name: str
    group: str  # "" for warnings and memcheck
    status: Status
    points: float
    max_points: float
    detail: Detail
    shown: Shown
    rule: str = ""
    log: str = ""  # all that the test said, for the instructor
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
    """What the compiler said."""

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
        """The tests that did not pass, those with a grader error included."""
        return tuple(t for t in self.tests if t.status != "pass")

    @property
    def headline(self) -> str:
        """The score, or why there is none."""
        if self.status == "graded" and self.score is not None:
            return f"{self.score:g} of {self.max_score:g} points"
        if self.status == "incomplete":
            return "no score, the grading was interrupted"
        return "no score, the grader had a problem"

    def to_json(self) -> str:
        """The result.json of a submission."""
        return json.dumps({"schema": SCHEMA} | asdict(self), indent=1, ensure_ascii=False) + "\n"


@dataclass(frozen=True)
class ClassEntry:
    """One submission of a class: its result, or why there is none."""

    name: str
    result: Result | None
    problem: str = ""


def from_json(text: str) -> Result:
    """The result that to_json() wrote; UsageError for anything else."""
    try:
        raw = json.loads(text)
        schema = raw.pop("schema")
        result = msgspec.convert(raw, Result)
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        raise UsageError(f"not a {SCHEMA}: {error}") from error
    if schema != SCHEMA:
        raise UsageError(f"not a {SCHEMA}: {schema!r}")
    return result
