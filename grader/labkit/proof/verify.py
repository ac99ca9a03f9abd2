"""Proves a lab: it accepts correct solutions, rejects broken versions, and hands out no secret.

A proof is a list of checks.  `labkit verify` runs a few at a time; the pytest plugin makes an item
of each.  Every broken version must fail the tests that it names and no others.  All tests of all
broken versions (the full matrix) take minutes.  So `make test` runs the tests that a version names
and a seeded sample of the others, unless the lab's contents have changed since the full matrix last
passed (record.py).
"""

import random
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Literal

from labkit.errors import (
    EXIT_DISPROVED,
    EXIT_GRADED,
    EXIT_GRADER,
    GraderError,
    Interrupted,
    ManifestError,
    SubmissionError,
)
from labkit.grading.grade import grade_submission
from labkit.grading.threads import SIGNAL_CHECK_SECONDS
from labkit.lab.kit import build_kit
from labkit.lab.manifest import Accepted, Lab
from labkit.lab.skeleton import write_accepted, write_reference
from labkit.proof import inspection
from labkit.proof.broken import broken_paths, load_broken, write_broken
from labkit.proof.load import busy_machine
from labkit.result import MEMCHECK, WARNINGS, Result
from labkit.sandbox.detect import AUTO
from labkit.sandbox.watch import CancelEvent

SKELETON_PERCENT: Final = 25  # the skeleton must score less
SAMPLE_TESTS: Final = 3  # of the tests that a broken version must pass

Verdict = Literal["ok", "wrong", "error"]


@dataclass(frozen=True)
class Options:
    """How a lab is verified."""

    sandbox: str = AUTO
    repeat: int = 1  # gradings of the reference and of each accepted solution
    load: bool = False  # the last of them on a busy machine
    full: bool = True  # all tests of every broken version, or those it names and a sample
    cancel: CancelEvent | None = None


@dataclass(frozen=True)
class Check:
    """A requirement of a lab; `run` returns the problems."""

    name: str
    run: Callable[[], list[str]]


@dataclass(frozen=True)
class Outcome:
    """The outcome of a check."""

    name: str
    verdict: Verdict
    problems: tuple[str, ...]
    seconds: float


def checks(lab: Lab, options: Options) -> tuple[Check, ...]:
    """All checks of a lab, the quick ones first."""
    listed: list[tuple[str, Callable[[], list[str]]]] = [
        ("kit/compiles", partial(_kit_compiles, lab)),
        ("skeleton/is_generated", partial(inspection.skeleton_is_generated, lab)),
        ("handout/has_the_rubric", partial(inspection.rubric_is_generated, lab)),
        ("labs/holds_nothing_secret", partial(inspection.nothing_secret_is_handed_out, lab)),
        ("tests/have_short_rules", partial(inspection.rules_are_short, lab)),
        ("broken/there_are_enough", partial(inspection.there_are_enough, lab)),
        ("broken/every_test_fails_once", partial(inspection.every_test_was_seen_to_fail, lab)),
        ("skeleton/scores_low", partial(_skeleton_scores_low, lab, options)),
        ("reference/scores_full", partial(_reference_scores_full, lab, options)),
    ]
    listed += [
        (f"accepted/{path.name}", partial(_accepted_scores_full, lab, path, options))
        for path in inspection.accepted_folders(lab)
    ]
    listed += [
        (f"broken/{path.stem}", partial(_broken_fails_what_it_names, lab, path, options))
        for path in broken_paths(lab)
    ]
    return tuple(Check(name, run) for name, run in listed)


def run_check(check: Check) -> Outcome:
    """Runs a check; its verdict tells a wrong lab ("wrong") from a grader error ("error")."""
    started = time.monotonic()
    verdict: Verdict = "ok"
    try:
        problems = check.run()
        verdict = "wrong" if problems else "ok"
    except (ManifestError, SubmissionError) as error:
        verdict, problems = "wrong", [str(error)]
    except GraderError as error:
        verdict, problems = "error", [str(error)]
    return Outcome(check.name, verdict, tuple(problems), time.monotonic() - started)


def verify(lab: Lab, options: Options, *, parallel: int = 2) -> Iterator[Outcome]:
    """The outcome of every check, in order.

    The kit is built first, so that a compile error is reported once.  Ctrl-C ends all gradings
    immediately and leaves nothing behind.
    """
    build_kit(lab)
    with closing(CancelEvent()) as cancel, ThreadPoolExecutor(parallel) as pool:
        options = replace(options, cancel=cancel)
        futures = [pool.submit(run_check, check) for check in checks(lab, options)]
        try:
            for future in futures:
                yield _result_of(future)
        finally:
            cancel.set()
            for future in futures:
                future.cancel()


def _result_of(future: Future[Outcome]) -> Outcome:
    """Waits with a timeout, so that Ctrl-C is noticed; see threads.SIGNAL_CHECK_SECONDS."""
    while not future.done():
        wait([future], timeout=SIGNAL_CHECK_SECONDS)
    return future.result()


def exit_status(outcomes: Sequence[Outcome]) -> int:
    """The exit status of labkit for these outcomes."""
    verdicts = {o.verdict for o in outcomes}
    if "error" in verdicts:
        return EXIT_GRADER
    return EXIT_DISPROVED if "wrong" in verdicts else EXIT_GRADED


# ---- checks that run something --------------------------------------------


def _kit_compiles(lab: Lab) -> list[str]:
    build_kit(lab)
    return []


def _skeleton_scores_low(lab: Lab, options: Options) -> list[str]:
    """The skeleton compiles without a warning and scores less than SKELETON_PERCENT."""
    result = _grade(lab, lab.labdir, options, valgrind=False)
    problems = []
    if result.build.output:
        problems.append(f"the compiler's output:\n{result.build.output}")
    points = sum(t.points for t in result.tests)
    if points >= lab.points * SKELETON_PERCENT / 100:
        passed = ", ".join(t.name for t in result.tests if t.status == "pass")
        problems.append(
            f"the score {points:g} is not under {SKELETON_PERCENT} %; passed tests: {passed}"
        )
    return problems


def _reference_scores_full(lab: Lab, options: Options) -> list[str]:
    with TemporaryDirectory(prefix="labkit-verify-") as folder:
        source = Path(folder, "reference")
        write_reference(lab, source)
        return _scores_full(lab, source, options, covers=None)


def _accepted_scores_full(lab: Lab, path: Path, options: Options) -> list[str]:
    accepted = lab.accepted.get(path.name, Accepted())
    with TemporaryDirectory(prefix="labkit-verify-") as folder:
        source = Path(folder, path.name)
        write_accepted(lab, path, source)
        return _scores_full(lab, source, options, covers=accepted.covers)


def _scores_full(
    lab: Lab, source: Path, options: Options, *, covers: tuple[str, ...] | None
) -> list[str]:
    """Grades with one seed after another; every needed test must pass each time."""
    needed = {t.name for t in lab.tests if covers is None or t.group in covers}
    needed |= {WARNINGS} if lab.warnings else set()
    if lab.memcheck and needed.issuperset(lab.memcheck.tests):
        needed.add(MEMCHECK)
    for seed in range(1, options.repeat + 1):
        with ExitStack() as stack:
            if options.load and seed == options.repeat:
                stack.enter_context(busy_machine())
            result = _grade(lab, source, options, valgrind=MEMCHECK in needed, seed=seed)
        failed = sorted(_failed(result) & needed)
        if failed:
            return [f"with seed {seed}: {_why(result, name)}" for name in failed]
    return []


def _broken_fails_what_it_names(lab: Lab, path: Path, options: Options) -> list[str]:
    """A missing failure would give points for a bug; an extra one would charge it twice."""
    version = load_broken(path, lab)
    only = None if options.full else version.fails | sample(lab, version.name, version.fails)
    with TemporaryDirectory(prefix="labkit-verify-") as folder:
        source = Path(folder, version.name)
        write_broken(version, lab, source)
        valgrind = MEMCHECK in version.fails
        result = _grade(lab, source, options, valgrind=valgrind, seed=1, only=only)
    failed = _failed(result)
    problems = [f"should fail: {name} ({version.what})" for name in sorted(version.fails - failed)]
    problems += [f"should pass: {_why(result, name)}" for name in sorted(failed - version.fails)]
    return problems


def sample(lab: Lab, seed: str, fails: Collection[str]) -> frozenset[str]:
    """A few of the tests that a broken version must pass, chosen by the seed."""
    others = [test.name for test in lab.tests if test.name not in fails]
    return frozenset(random.Random(seed).sample(others, min(SAMPLE_TESTS, len(others))))


def _grade(
    lab: Lab,
    source: Path,
    options: Options,
    *,
    valgrind: bool,
    seed: int | None = None,
    only: Collection[str] | None = None,
) -> Result:
    result = grade_submission(
        lab,
        source,
        sandbox=options.sandbox,
        valgrind=valgrind,
        jobs=1,
        seed=seed,
        only=only,
        cancel=options.cancel,
    )
    if result.status == "incomplete":
        raise Interrupted
    if result.status != "graded":
        broken = [_why(result, t.name) for t in result.tests if t.status == "error"]
        raise GraderError("; ".join(broken) or f"the grading of {source} is {result.status}")
    return result


def _failed(result: Result) -> set[str]:
    return {t.name for t in result.failed}


def _why(result: Result, name: str) -> str:
    [test] = [t for t in result.tests if t.name == name]
    return f"{name}: {test.log or 'failed'}"
