"""Proves a lab: that it takes what is right, notices what is wrong, and hands out no secret.

A lab is a list of checks.  `labkit verify` runs them one after the other or a
few at a time; the pytest plugin makes an item of each.
"""

import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Literal

from labkit import inspection
from labkit.errors import GraderError, ManifestError, SubmissionError
from labkit.grade import grade_submission
from labkit.kit import build_kit, make
from labkit.manifest import MEMCHECK, WARNINGS, Accepted, Lab
from labkit.mutants import load_mutant, mutant_paths, write_mutant
from labkit.result import Result
from labkit.skeleton import write_accepted, write_reference

SKELETON_PERCENT: Final = 25  # what is handed out scores less
LIST_SECONDS: Final = 10
BUSY_PROCESSES: Final = 4

Verdict = Literal["ok", "wrong", "error"]


@dataclass(frozen=True)
class Options:
    """How a lab is verified."""

    box: str = "auto"
    repeat: int = 1  # gradings of the reference and of each accepted solution
    load: bool = False  # the last of them on a busy machine


@dataclass(frozen=True)
class Check:
    """One thing that must hold; `run` gives what is wrong, or nothing."""

    name: str
    run: Callable[[], list[str]]


@dataclass(frozen=True)
class Outcome:
    """What came of a check."""

    name: str
    verdict: Verdict
    problems: tuple[str, ...]
    seconds: float


def checks(lab: Lab, options: Options) -> tuple[Check, ...]:
    """Everything that is checked of a lab, what is quick first."""
    listed: list[tuple[str, Callable[[], list[str]]]] = [
        ("skeleton/is_generated", partial(inspection.skeleton_is_generated, lab)),
        ("handout/has_the_rubric", partial(inspection.rubric_is_generated, lab)),
        ("labs/holds_nothing_secret", partial(inspection.nothing_secret_is_handed_out, lab)),
        ("broken/there_are_enough", partial(inspection.there_are_enough, lab)),
        ("broken/every_test_fails_once", partial(inspection.every_test_was_seen_to_fail, lab)),
        ("makefile/names_the_files", partial(_makefile_names_the_files, lab)),
        ("tests/are_those_of_the_manifest", partial(_tests_are_listed, lab)),
        ("skeleton/scores_low", partial(_skeleton_scores_low, lab, options)),
        ("reference/scores_full", partial(_reference_scores_full, lab, options)),
    ]
    listed += [
        (f"accepted/{path.name}", partial(_accepted_scores_full, lab, path, options))
        for path in inspection.accepted_folders(lab)
    ]
    listed += [
        (f"broken/{path.stem}", partial(_broken_fails_what_it_names, lab, path, options))
        for path in mutant_paths(lab)
    ]
    return tuple(Check(name, run) for name, run in listed)


def run_check(check: Check) -> Outcome:
    """A check that finds the lab wrong is one thing, a grader that breaks another."""
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
    """The outcome of every check, in order; the grader's own exit status is the caller's."""
    every = checks(lab, options)
    with ThreadPoolExecutor(parallel) as pool:
        yield from pool.map(run_check, every)


def exit_status(outcomes: Sequence[Outcome]) -> int:
    """0 the lab holds, 1 it is wrong, 3 the grader broke."""
    verdicts = {o.verdict for o in outcomes}
    return 3 if "error" in verdicts else 1 if "wrong" in verdicts else 0


# ---- checks that run something --------------------------------------------


def _makefile_names_the_files(lab: Lab) -> list[str]:
    """Students hand in by the Makefile what is graded by lab.toml."""
    have, want = set(make(lab, "print-hand-in").split()), set(lab.files)
    where = f"labs/{lab.name}/Makefile"
    return [
        *(f"{name} is in lab.toml, but not in {where}" for name in sorted(want - have)),
        *(f"{name} is in {where}, but not in lab.toml" for name in sorted(have - want)),
    ]


def _tests_are_listed(lab: Lab) -> list[str]:
    """The test binary holds the tests of lab.toml, each once."""
    binary = build_kit(lab).test_graded
    try:
        run = subprocess.run(
            [binary, "--list"], capture_output=True, text=True, timeout=LIST_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise GraderError(f"{binary} --list: {error}") from error
    have = sorted(run.stdout.split())
    want = sorted(t.name for t in lab.tests)
    if have == want:
        return []
    return [
        *(
            f"{name} is in lab.toml, but not in the test binary"
            for name in want
            if name not in have
        ),
        *(
            f"{name} is in the test binary, but not in lab.toml"
            for name in have
            if name not in want
        ),
    ] or ["a test is in the test binary twice"]


def _skeleton_scores_low(lab: Lab, options: Options) -> list[str]:
    """It compiles without a warning, and most is left to do."""
    result = _grade(lab, lab.labdir, options, valgrind=False)
    problems = []
    if result.build.output:
        problems.append(f"the compiler says:\n{result.build.output}")
    points = sum(t.points for t in result.tests)
    if points >= lab.points * SKELETON_PERCENT / 100:
        passed = ", ".join(t.name for t in result.tests if t.status == "pass")
        problems.append(
            f"it scores {points:g}, which is not under {SKELETON_PERCENT} %; passes: {passed}"
        )
    return problems


def _reference_scores_full(lab: Lab, options: Options) -> list[str]:
    with TemporaryDirectory(prefix="labkit-verify-") as folder:
        source = Path(folder, "reference")
        write_reference(lab, source)
        return _scores_full(lab, source, options, covers=None)


def _accepted_scores_full(lab: Lab, path: Path, options: Options) -> list[str]:
    accepted = lab.accepted.get(path.name, Accepted(path.name))
    with TemporaryDirectory(prefix="labkit-verify-") as folder:
        source = Path(folder, path.name)
        write_accepted(lab, path, source)
        return _scores_full(lab, source, options, covers=accepted.covers)


def _scores_full(
    lab: Lab, source: Path, options: Options, *, covers: tuple[str, ...] | None
) -> list[str]:
    """Every test of the groups passes, every time, with another seed each time."""
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
    """Neither less, or a student gets points for a bug, nor more, or one bug costs twice."""
    mutant = load_mutant(path, lab)
    valgrind = MEMCHECK in mutant.fails
    with TemporaryDirectory(prefix="labkit-verify-") as folder:
        source = Path(folder, mutant.name)
        write_mutant(mutant, lab, source)
        result = _grade(lab, source, options, valgrind=valgrind, seed=1)
    failed = _failed(result)
    problems = [f"passes {name}, and should fail it" for name in sorted(mutant.fails - failed)]
    problems += [f"should pass: {_why(result, name)}" for name in sorted(failed - mutant.fails)]
    return problems


def _grade(
    lab: Lab, source: Path, options: Options, *, valgrind: bool, seed: int | None = None
) -> Result:
    result = grade_submission(lab, source, box=options.box, valgrind=valgrind, jobs=1, seed=seed)
    if result.status != "graded":
        broken = [_why(result, t.name) for t in result.tests if t.status == "error"]
        raise GraderError("; ".join(broken) or f"the grading of {source} is {result.status}")
    return result


def _failed(result: Result) -> set[str]:
    return {t.name for t in result.failed}


def _why(result: Result, name: str) -> str:
    [test] = [t for t in result.tests if t.name == name]
    return f"{name}: {test.log or 'failed'}"


@contextmanager
def busy_machine() -> Iterator[None]:
    """More processes that want a CPU than there are CPUs."""
    busy = [
        subprocess.Popen(["sh", "-c", "while :; do :; done"], stdin=subprocess.DEVNULL)
        for _ in range(BUSY_PROCESSES)
    ]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()
