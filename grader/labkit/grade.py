"""A submission's way through: intake, build, run, score, result, files.

The effects are here; what decides points is in score.py, which is pure.
"""

import functools
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from hashlib import sha256
from pathlib import Path
from typing import Final

from labkit import probe
from labkit.build import compile_submission
from labkit.errors import GraderError, Interrupted
from labkit.intake import Submission, collect
from labkit.kit import build_folder, build_kit
from labkit.manifest import Lab
from labkit.result import BuildInfo, Result, SubmissionInfo
from labkit.run import Bench, MemcheckRun, TestRun, run_memcheck, run_test
from labkit.score import Runs, score
from labkit.threads import in_threads
from labkit.watch import Stop
from labkit.workroom import workroom
from labkit.writers import markdown

JOBS: Final = 2
LONGEST_FOLDER: Final = 200  # bytes of a name; a file system takes 255
SEED: Final = 1  # the same tests for everybody, every time


def grade_submission(
    lab: Lab,
    source: Path,
    *,
    box: str = "auto",
    valgrind: bool = True,
    jobs: int = JOBS,
    seed: int | None = None,
) -> Result:
    """Grades what lies at `source`; Interrupted carries the partial result."""
    started = time.monotonic()
    with bench(lab, source, box=box, seed=SEED if seed is None else seed) as (ready, submission):
        tests: dict[str, TestRun] = {}
        memchecks: list[MemcheckRun] = []
        interrupted = False
        if ready.build.ok:
            tasks = _tasks(ready, tests, memchecks, valgrind=valgrind)
            try:
                in_threads(jobs, tasks, stop=ready.stop)
            except (KeyboardInterrupt, Interrupted):
                interrupted = True
        runs = Runs(
            build=ready.build,
            tests=tests,
            memcheck=memchecks[0] if memchecks else None,
            valgrind=valgrind,
            interrupted=interrupted,
        )
        result = _result(ready, submission, runs, seconds=time.monotonic() - started)
    if interrupted:
        raise Interrupted(partial=result)
    return result


@contextmanager
def bench(
    lab: Lab, source: Path, *, box: str = "auto", seed: int = SEED
) -> Iterator[tuple[Bench, Submission]]:
    """A submission, compiled and ready to be tested, until the end of the block."""
    kit = build_kit(lab)
    stop, hangs = Stop(), Stop()
    try:
        with workroom(lab, kit) as room:
            submission = collect(source, lab, room.src)
            kind = probe.choose(box, lab, kit)
            build = compile_submission(lab, kit, room, box=kind, stop=stop)
            yield Bench(lab, kit, room, build, kind, seed, stop, hangs), submission
    finally:
        stop.close()
        hangs.close()


def _tasks(
    ready: Bench, tests: dict[str, TestRun], memchecks: list[MemcheckRun], *, valgrind: bool
) -> list[Callable[[], None]]:
    """What can be done side by side, the longest first: the Valgrind pass, then the last tests.

    What the grader cannot do for one test costs the score, but no other test's result.
    """
    under_valgrind = ready.lab.memcheck.tests if ready.lab.memcheck else ()

    def memcheck() -> None:
        try:
            memchecks.append(run_memcheck(ready))
        except GraderError as error:
            memchecks.append(MemcheckRun("error", message=str(error)))

    def test(name: str) -> None:
        try:
            tests[name] = run_test(ready, name)
        except GraderError as error:
            tests[name] = TestRun(name, "error", message=str(error))
        if tests[name].hung and name in under_valgrind:
            ready.hangs.set()

    first = [memcheck] if valgrind and ready.lab.memcheck else []
    return [*first, *(functools.partial(test, t.name) for t in reversed(ready.lab.tests))]


def _result(ready: Bench, submission: Submission, runs: Runs, *, seconds: float) -> Result:
    lab = ready.lab
    reproduce = {
        t.name: f"cd labs/{lab.name} && make test TEST={t.name} SEED={ready.seed}"
        for t in lab.tests
        if t.public
    }
    scored = score(lab, runs, reproduce=reproduce)
    return Result(
        lab=lab.name,
        title=lab.title,
        status=scored.status,
        score=scored.score,
        max_score=scored.max_score,
        submission=SubmissionInfo(
            name=submission.name,
            hash=submission.hash,
            files=submission.files,
            notes=submission.notes,
        ),
        build=BuildInfo(ok=runs.build.ok, output=runs.build.output, warnings=runs.build.warnings),
        tests=scored.tests,
        memcheck=runs.memcheck.findings if runs.memcheck else (),
        groups={g.name: g.title for g in lab.groups},
        limits=asdict(lab.limits),
        flags=ready.kit.submission_flags,
        box=ready.box.name,
        kit=ready.kit.version,
        image=os.environ.get("LABKIT_IMAGE"),
        seed=ready.seed,
        seconds=round(seconds, 3),
    )


def result_folder(lab: Lab, name: str) -> Path:
    """Where the result of a submission goes when nobody says otherwise."""
    safe = name if name.strip(".") else "submission"
    whole = safe.encode()
    if len(whole) > LONGEST_FOLDER:  # what cannot be printed is longer when it is escaped
        safe = whole[:LONGEST_FOLDER].decode(errors="ignore") + f"-{sha256(whole).hexdigest()[:16]}"
    return build_folder(lab.root) / "results" / lab.name / safe


def write_result(result: Result, folder: Path) -> None:
    """result.json and feedback.md; each is there whole or not at all."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in (
            ("result.json", result.to_json()),
            ("feedback.md", markdown.feedback(result)),
        ):
            new = folder / f".{name}.new"
            new.write_text(text, encoding="utf-8", errors="backslashreplace")
            new.rename(folder / name)
    except OSError as error:
        raise GraderError(f"the result cannot be written to {folder}: {error}") from error
