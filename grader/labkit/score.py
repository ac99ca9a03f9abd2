"""From what happened to points: pure, so that every case can be tested.

A test gives all of its points or none.  A grader error gives no score at all,
for a score would be a claim about a student.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from labkit.build import BuildReport
from labkit.manifest import MEMCHECK, WARNINGS, Lab, Test
from labkit.memcheck import Finding
from labkit.result import RunStatus, TestResult
from labkit.run import MemcheckRun, Status, TestRun

NOT_RUN = "not run: the grading was interrupted"
NO_COMPILE = "the submission does not compile"


@dataclass(frozen=True)
class Runs:
    """Everything that was found out about a submission."""

    build: BuildReport
    tests: Mapping[str, TestRun]
    memcheck: MemcheckRun | None  # None: not run
    valgrind: bool  # whether the Valgrind pass was wanted
    interrupted: bool = False


@dataclass(frozen=True)
class Scored:
    """The rubric, filled in."""

    status: RunStatus
    score: float | None
    max_score: float
    tests: tuple[TestResult, ...]


def score(lab: Lab, runs: Runs, *, reproduce: Mapping[str, str]) -> Scored:
    """Fills in the rubric of a lab; `reproduce` has a command for each test."""
    tests = [_test(t, runs, reproduce.get(t.name, "")) for t in lab.tests]
    if lab.warnings:
        tests.append(_warnings(lab.warnings.points, lab.warnings.rule, runs))
    if lab.memcheck and runs.valgrind:
        points, rule = lab.memcheck.points, lab.memcheck.rule
        tests.append(_memcheck(points, rule, lab.memcheck.tests, runs))
    broken = any(t.status == "error" for t in tests)
    status: RunStatus = "incomplete" if runs.interrupted else "error" if broken else "graded"
    return Scored(
        status=status,
        score=round(sum(t.points for t in tests), 2) if status == "graded" else None,
        max_score=round(sum(t.max_points for t in tests), 2),
        tests=tuple(tests),
    )


def _test(test: Test, runs: Runs, reproduce: str) -> TestResult:
    run = runs.tests.get(test.name)
    if not runs.build.ok:
        run = TestRun(test.name, "fail", message=NO_COMPILE)
    elif run is None:
        run = TestRun(test.name, "error", message=NOT_RUN)
    shown = test.detail == "open" or not runs.build.ok or run.status == "error"
    return TestResult(
        name=test.name,
        group=test.group,
        status=run.status,
        points=test.points if run.status == "pass" else 0,
        max_points=test.points,
        rule=test.rule,
        detail=test.detail,
        message=run.message if shown else "",
        output=run.output if test.detail == "open" else "",
        log=run.message,
        reproduce=reproduce if run.status == "fail" and test.detail == "open" else "",
        seconds=round(run.seconds, 4),
    )


def _warnings(points: float, rule: str, runs: Runs) -> TestResult:
    found = runs.build.warnings
    ok = runs.build.ok and not found
    message = NO_COMPILE if not runs.build.ok else ""
    if found:
        message = "\n".join(f"{w.file}:{w.line}: {w.message}" for w in found)
    return _pseudo(WARNINGS, "pass" if ok else "fail", points, rule, message)


def _memcheck(points: float, rule: str, names: tuple[str, ...], runs: Runs) -> TestResult:
    run = runs.memcheck
    if not runs.build.ok:
        return _pseudo(MEMCHECK, "fail", points, rule, NO_COMPILE)
    if run is None:
        return _pseudo(MEMCHECK, "error", points, rule, NOT_RUN)
    none_passes = all(n in runs.tests and runs.tests[n].status == "fail" for n in names)
    if run.status == "pass" and none_passes:
        nothing = "none of the tests that run under Valgrind passes yet"
        return _pseudo(MEMCHECK, "fail", points, rule, nothing, run.seconds)
    message = "\n".join([run.message, *map(describe, run.findings)]).strip()
    return _pseudo(MEMCHECK, run.status, points, rule, message, run.seconds)


def describe(finding: Finding) -> str:
    """A finding in one line, at the innermost line of the student's."""
    place = finding.where[0]
    line = f":{place.line}" if place.line else ""
    return f"{place.file}{line}: in {place.function}: {finding.message}"


def _pseudo(
    name: str, status: Status, points: float, rule: str, message: str, seconds: float = 0.0
) -> TestResult:
    return TestResult(
        name=name,
        group="",
        status=status,
        points=points if status == "pass" else 0,
        max_points=points,
        rule=rule,
        detail="open",
        message=message,
        log=message,
        seconds=round(seconds, 4),
    )
