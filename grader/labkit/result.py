"""The one result of a graded submission, schema labkit/result/v1.

Everything that anybody reads (terminal, Markdown, JUnit, a platform's JSON)
is written from this.  `message` and `output` of a test are what its level of
detail lets a student see; `log` is the whole of it, for the instructor.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final, Literal

from labkit.build import Diagnostic
from labkit.errors import UsageError
from labkit.memcheck import Finding, Place
from labkit.run import Status

SCHEMA: Final = "labkit/result/v1"

RunStatus = Literal["graded", "error", "incomplete"]


@dataclass(frozen=True)
class TestResult:
    """One line of the rubric."""

    __test__ = False  # for pytest: not a class of tests

    name: str
    group: str
    status: Status
    points: float
    max_points: float
    rule: str
    detail: str
    message: str = ""
    output: str = ""
    log: str = ""
    reproduce: str = ""
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
    """A graded submission; `score` is None unless the grading went to its end."""

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
    box: str
    kit: str
    image: str | None
    seed: int
    seconds: float

    @property
    def failed(self) -> tuple[TestResult, ...]:
        """What did not pass, grader errors too."""
        return tuple(t for t in self.tests if t.status != "pass")

    def to_json(self) -> str:
        """The result.json of a submission."""
        return json.dumps({"schema": SCHEMA} | asdict(self), indent=1, ensure_ascii=False) + "\n"


def from_json(text: str) -> Result:
    """The result that to_json() wrote; UsageError for anything else."""
    try:
        raw = json.loads(text)
        if raw["schema"] != SCHEMA:
            raise UsageError(f"not a {SCHEMA}: {raw['schema']!r}")
        return _result(raw)
    except (json.JSONDecodeError, KeyError, TypeError) as error:
        raise UsageError(f"not a {SCHEMA}: {error!r}") from error


def _result(raw: dict[str, Any]) -> Result:
    known = {k: v for k, v in raw.items() if k != "schema"}
    about, build = raw["submission"], raw["build"]
    return Result(
        **known
        | {
            "submission": SubmissionInfo(
                **about | {"files": tuple(about["files"]), "notes": tuple(about["notes"])}
            ),
            "build": BuildInfo(
                **build | {"warnings": tuple(Diagnostic(**w) for w in build["warnings"])}
            ),
            "tests": tuple(TestResult(**t) for t in raw["tests"]),
            "memcheck": tuple(
                Finding(message=f["message"], where=tuple(Place(**p) for p in f["where"]))
                for f in raw["memcheck"]
            ),
            "flags": tuple(raw["flags"]),
        }
    )
