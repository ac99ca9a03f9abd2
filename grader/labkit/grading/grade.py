"""Grades a submission: intake, build, run, score, result.

The side effects are here; score.py, which decides the points, is pure.
"""

import functools
import os
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Final

import msgspec

from labkit.errors import Interrupted
from labkit.grading.budget import Budget
from labkit.grading.build import compile_submission
from labkit.grading.outcomes import MemcheckRun, TestRun
from labkit.grading.run import CompiledSubmission, run_memcheck, run_test
from labkit.grading.score import Runs, score
from labkit.grading.threads import in_threads
from labkit.grading.working_directory import make_readable, working_directory
from labkit.intake.collect import collect
from labkit.lab.kit import build_folder, build_kit
from labkit.lab.manifest import Lab
from labkit.lab.rubric import graded_tests
from labkit.lab.skeleton import preprocessed
from labkit.result import BuildInfo, Result, SubmissionInfo
from labkit.sandbox import detect
from labkit.sandbox.interface import SandboxKind
from labkit.sandbox.watch import CancelEvent

JOBS: Final = 2
SEED: Final = 1  # the same tests for everybody, every time


def grade_submission(
    lab: Lab,
    source: Path,
    *,
    sandbox: str = detect.AUTO,
    valgrind: bool = True,
    jobs: int = JOBS,
    seed: int | None = None,
    only: Collection[str] | None = None,
    cancel: CancelEvent | None = None,
) -> Result:
    """Grades the submission at `source`; an interrupted grading has the status "incomplete".

    `only` names the tests to run, as if the lab had no others; None means all.
    """
    started = time.monotonic()
    seed = SEED if seed is None else seed
    with compiled(lab, source, sandbox=sandbox, seed=seed, cancel=cancel) as (submission, info):
        if only is not None:
            chosen = tuple(test for test in lab.tests if test.name in only)
            submission = replace(submission, lab=replace(lab, tests=chosen))
        submission = replace(submission, budget=Budget(lab.limits.budget_s))
        tests: dict[str, TestRun] = {}
        memchecks: list[MemcheckRun] = []
        interrupted = False
        if submission.build.ok:
            tasks = _tasks(submission, tests, memchecks, valgrind=valgrind, jobs=jobs)
            try:
                in_threads(jobs, tasks, cancel=submission.cancel)
            except (KeyboardInterrupt, Interrupted):
                interrupted = True
        runs = Runs(
            build=submission.build,
            tests=tests,
            memcheck=memchecks[0] if memchecks else None,
            valgrind=valgrind,
            interrupted=interrupted,
        )
        return _result(submission, info, runs, seconds=time.monotonic() - started)


@contextmanager
def compiled(
    lab: Lab,
    source: Path,
    *,
    sandbox: str = detect.AUTO,
    seed: int = SEED,
    cancel: CancelEvent | None = None,
) -> Iterator[tuple[CompiledSubmission, SubmissionInfo]]:
    """Compiles a submission, which can be tested until the end of the block."""
    kit = build_kit(lab)
    with ExitStack() as stack:
        if cancel is None:
            cancel = stack.enter_context(closing(CancelEvent()))
        hang_found = stack.enter_context(closing(CancelEvent()))
        directory = stack.enter_context(working_directory(kit))
        info = collect(source, lab, directory.src)
        if source.resolve().is_relative_to(lab.soldir.resolve()):
            info = _take_solution_side(info, directory.src)
        make_readable(directory.src)
        kind = choose_sandbox(sandbox, lab)
        build = compile_submission(lab, kit, directory, sandbox=kind, cancel=cancel)
        yield CompiledSubmission(lab, kit, directory, build, kind, seed, cancel, hang_found), info


def _take_solution_side(info: SubmissionInfo, folder: Path) -> SubmissionInfo:
    """Reduces a reference of the repository, which contains its skeleton, to the reference."""
    changed = []
    for name in info.files:
        text = preprocessed(folder / name, solution=True)
        if text != (folder / name).read_text(encoding="utf-8"):
            (folder / name).write_text(text, encoding="utf-8")
            changed.append(name)
    if not changed:
        return info
    note = f"{', '.join(changed)}: a reference that contains its skeleton; SOLUTION is defined"
    return replace(info, notes=(*info.notes, note))


def choose_sandbox(wanted: str, lab: Lab) -> SandboxKind:
    """The kind of sandbox; no submission in it can read solutions, test binaries or history."""
    kits = build_folder(lab.root) / "kit"
    secrets = (lab.soldir.parent, kits, lab.root / ".git")
    return detect.choose(wanted, secrets=secrets, notes=kits / "sandboxes.json")


def _tasks(
    submission: CompiledSubmission,
    tests: dict[str, TestRun],
    memchecks: list[MemcheckRun],
    *,
    valgrind: bool,
    jobs: int,
) -> list[Callable[[], None]]:
    """The tasks, which can run in parallel, the longest first: Valgrind, then the last tests.

    Without a second thread Valgrind is last: a test that hangs natively makes the pass short.
    After a grader error in one task there is no score, but the other tests have their results.
    """
    lab = submission.lab
    under_valgrind = lab.memcheck.tests if lab.memcheck else ()

    def memcheck() -> None:
        memchecks.append(run_memcheck(submission))

    def test(name: str) -> None:
        tests[name] = run_test(submission, name)
        hangs = tests[name].hung and name in under_valgrind
        if hangs or tests[name].over_budget:
            submission.hang_found.set()

    native: list[Callable[[], None]] = [
        functools.partial(test, t.name) for t in reversed(lab.tests)
    ]
    if not valgrind or lab.memcheck is None:
        return native
    return [memcheck, *native] if jobs > 1 else [*native, memcheck]


def _result(
    submission: CompiledSubmission, info: SubmissionInfo, runs: Runs, *, seconds: float
) -> Result:
    lab, kit = submission.lab, submission.kit
    tests = graded_tests(lab, kit)
    reproduce = {
        t.name: f"cd labs/{lab.name} && make test TEST={t.name} SEED={submission.seed}"
        for t in tests
        if t.public
    }
    scored = score(lab, tests, runs, reproduce=reproduce)
    return Result(
        lab=lab.name,
        title=lab.title,
        status=scored.status,
        score=scored.score,
        max_score=scored.max_score,
        submission=info,
        build=BuildInfo(ok=runs.build.ok, output=runs.build.output, warnings=runs.build.warnings),
        tests=scored.tests,
        memcheck=runs.memcheck.findings if runs.memcheck else (),
        groups=dict(lab.groups),
        limits=msgspec.structs.asdict(lab.limits),
        flags=kit.submission_flags,
        compiler=kit.compiler,
        sandbox=submission.sandbox.name,
        kit=kit.version,
        image=os.environ.get("LABKIT_IMAGE"),
        seed=submission.seed,
        seconds=round(seconds, 3),
    )
