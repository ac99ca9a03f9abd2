"""Decides points and what students see; pure, so that every case can be tested.

A test gives all of its points or none.  After a grader error there is no score, because a score is
a claim about a student.  What students see of a test depends on its level of detail (open, named,
secret).  Only this module decides it: reports show `TestResult.shown` and nothing else.

The Valgrind pass runs hidden tests too.  A submission could leak the inputs of these tests through
planned memory errors, by their number, size or order, so little is shown of what Valgrind found.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from labkit.grading.outcomes import BuildReport, MemcheckRun, TestRun
from labkit.lab.manifest import Lab, Memcheck
from labkit.lab.rubric import GradedTest
from labkit.result import (
    MEMCHECK,
    WARNINGS,
    Diagnostic,
    Finding,
    Place,
    RunStatus,
    Shown,
    Status,
    TestResult,
)

NOT_RUN: Final = "not run: the grading was interrupted"
NO_COMPILE: Final = "the submission does not compile"

MAX_FINDINGS_SHOWN: Final = 10
# What is shown of a finding of hidden tests: for the first text in its message, its kind.
KINDS: Final = {
    "Invalid read": "invalid read",
    "Invalid write": "invalid write",
    "Invalid free": "invalid free",
    "Mismatched free": "mismatched free",
    "Conditional jump": "a condition depends on an uninitialised value",
    "Use of uninitialised": "use of an uninitialised value",
    "Syscall param": "a system call gets uninitialised or inaccessible memory",
    "Source and destination overlap": "source and destination overlap",
    "definitely lost": "memory is definitely lost",
    "indirectly lost": "memory is indirectly lost",
}
BEHAVES: Final = "the submission frees memory under Valgrind that it does not free without it"
OTHER_KIND: Final = "memory error"


@dataclass(frozen=True)
class Runs:
    """The outcomes of all runs of a submission."""

    build: BuildReport
    tests: Mapping[str, TestRun]
    memcheck: MemcheckRun | None  # None: not run
    valgrind: bool  # whether the Valgrind pass was requested
    interrupted: bool = False


@dataclass(frozen=True)
class Scored:
    """The rubric with the points of a submission."""

    status: RunStatus
    score: float | None
    max_score: float
    tests: tuple[TestResult, ...]


def score(
    lab: Lab, tests: Sequence[GradedTest], runs: Runs, *, reproduce: Mapping[str, str]
) -> Scored:
    """Fills in the rubric of a lab; `reproduce` has a command for each test."""
    shown_names = _shown_names(tests)
    results = [
        _test(t, runs, shown_name=shown_names[t.name], reproduce=reproduce.get(t.name, ""))
        for t in tests
    ]
    if lab.warnings:
        results.append(_warnings(lab.warnings.points, lab.warnings.rule, runs))
    if lab.memcheck and runs.valgrind:
        names = lab.memcheck.tests
        is_open = all(t.detail == "open" for t in tests if t.name in names)
        results.append(_memcheck(lab.memcheck, shown_names, runs, is_open=is_open))
    broken = any(t.status == "error" for t in results)
    status: RunStatus = "incomplete" if runs.interrupted else "error" if broken else "graded"
    return Scored(
        status=status,
        score=round(sum(t.points for t in results), 2) if status == "graded" else None,
        max_score=round(sum(t.max_points for t in results), 2),
        tests=tuple(results),
    )


def _shown_names(tests: Sequence[GradedTest]) -> dict[str, str]:
    """The name under which students see each test."""
    names = {test.name: test.name for test in tests}
    secret = [test.name for test in tests if test.detail == "secret"]
    return names | {name: f"secret_test_{i}" for i, name in enumerate(secret, 1)}


def _test(test: GradedTest, runs: Runs, *, shown_name: str, reproduce: str) -> TestResult:
    run = runs.tests.get(test.name)
    if not runs.build.ok:
        run = TestRun(test.name, "fail", message=NO_COMPILE)
    elif run is None:
        run = TestRun(test.name, "error", message=NOT_RUN)
    is_open = test.detail == "open"
    general = not runs.build.ok or run.over_budget or run.status == "error"
    return TestResult(
        name=test.name,
        group=test.group,
        status=run.status,
        points=test.points if run.status == "pass" else 0,
        max_points=test.points,
        detail=test.detail,
        shown=Shown(
            name=shown_name,
            rule=test.shown_rule,
            message=run.message if is_open or general else "",
            output=run.output if is_open else "",
            reproduce=reproduce if is_open and run.status == "fail" else "",
        ),
        rule=test.rule,
        log=_log(run.message, run.log),
        seconds=round(run.seconds, 4),
    )


def _warnings(points: float, rule: str, runs: Runs) -> TestResult:
    found = runs.build.warnings
    ok = runs.build.ok and not found
    message = NO_COMPILE if not runs.build.ok else ""
    if found:
        message = warnings_message(found)
    return _extra(WARNINGS, "pass" if ok else "fail", points, rule, message)


def _memcheck(
    table: Memcheck, shown_names: Mapping[str, str], runs: Runs, *, is_open: bool
) -> TestResult:
    run = runs.memcheck
    points, rule, names = table.points, table.rule, table.tests
    if not runs.build.ok:
        return _extra(MEMCHECK, "fail", points, rule, NO_COMPILE)
    if run is None:
        return _extra(MEMCHECK, "error", points, rule, NOT_RUN)
    none_passes = all(n in runs.tests and runs.tests[n].status == "fail" for n in names)
    says_nothing = run.status == "pass" or (not run.complete and not run.findings)
    if none_passes and says_nothing:
        message = (
            "no test that runs under Valgrind passes yet, and memory points need one: "
            f"{shown_names[names[0]]} failed first"
        )
        return _extra(MEMCHECK, "fail", points, rule, message, run.seconds)
    more = [
        f"{name}: {blocks} blocks left allocated, {run.blocks[name]} under Valgrind"
        for name in names
        if name in runs.tests and name in run.blocks
        if (blocks := runs.tests[name].blocks) is not None and blocks > run.blocks[name]
    ]
    if run.status == "pass" and more:
        log = "\n".join(more)
        return _extra(MEMCHECK, "fail", points, rule, BEHAVES, run.seconds, log=log)
    everything = memcheck_message(run)
    message = everything if is_open or not run.findings else _hidden_findings(run.findings)
    log = _log("" if message == everything else everything, run.log)
    return _extra(MEMCHECK, run.status, points, rule, message, run.seconds, log=log)


def _hidden_findings(findings: Sequence[Finding]) -> str:
    """What is shown of findings in hidden tests: kind and line, in no order that means anything."""
    lines = sorted({f"{_at(f.where[0])}: {_kind(f)}" for f in findings})
    return "\n".join(["Valgrind found memory errors, among them:", *lines[:MAX_FINDINGS_SHOWN]])


def _kind(finding: Finding) -> str:
    kinds = (kind for text, kind in KINDS.items() if text in finding.message)
    return next(kinds, OTHER_KIND)


def _at(place: Place) -> str:
    return f"{place.file}:{place.line}" if place.line else place.file


def warnings_message(warnings: Sequence[Diagnostic]) -> str:
    """The compiler's warnings, one on a line."""
    return "\n".join(f"{w.file}:{w.line}: {w.message}" for w in warnings)


def memcheck_message(run: MemcheckRun) -> str:
    """The outcome of the Valgrind pass, with its findings, one on a line."""
    return "\n".join([run.message, *map(describe, run.findings)]).strip()


def describe(finding: Finding) -> str:
    """A finding in one line: the student's innermost line, and the functions that called it."""
    place, *callers = finding.where
    called = "".join(f", called by {c.function} ({_at(c)})" for c in callers)
    return f"{_at(place)}: in {place.function}{called}: {finding.message}"


def _extra(
    name: str,
    status: Status,
    points: float,
    rule: str,
    message: str,
    seconds: float = 0.0,
    log: str = "",
) -> TestResult:
    """The result of warnings or memcheck, which are graded like tests."""
    return TestResult(
        name=name,
        group="",
        status=status,
        points=points if status == "pass" else 0,
        max_points=points,
        detail="open",
        shown=Shown(name=name, rule=rule, message=message),
        rule=rule,
        log=_log(message, log),
        seconds=round(seconds, 4),
    )


def _log(*parts: str) -> str:
    """All that was said, for the instructor."""
    return "\n".join(part for part in parts if part)
