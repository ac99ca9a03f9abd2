"""What the steps of a grading find out: data alone, from which score.py makes points."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from labkit.result import Diagnostic, Finding, Status


@dataclass(frozen=True)
class BuildReport:
    """The outcome of compiling a submission."""

    ok: bool
    submission: Path | None  # submission.so, when the lab has one
    programs: Path
    output: str  # of the compiler
    warnings: tuple[Diagnostic, ...]


@dataclass(frozen=True)
class TestRun:
    """The outcome of one test."""

    __test__ = False  # for pytest: not a class of tests

    name: str
    status: Status
    message: str = ""  # the test's own explanation
    log: str = ""  # what only the instructor may see besides
    output: str = ""  # what the submission printed
    seconds: float = 0.0
    hung: bool = False  # the submission did not end
    over_budget: bool = False  # the message says that; it says nothing of the test
    blocks: int | None = None  # left allocated; None: not counted


@dataclass(frozen=True)
class MemcheckRun:
    """The outcome of the Valgrind pass."""

    status: Status
    message: str = ""
    log: str = ""  # what only the instructor may see besides
    complete: bool = True  # Valgrind wrote its report
    findings: tuple[Finding, ...] = ()
    blocks: Mapping[str, int] = field(default_factory=dict)  # left allocated by each test
    seconds: float = 0.0
