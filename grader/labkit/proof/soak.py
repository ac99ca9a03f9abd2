"""Soaks a lab: every graded test again and again on a busy machine, with another seed each time.

A test that gives two verdicts for one submission is a flaky test, whatever
the submission.  So what is soaked is the reference, where every run must
pass, or any other submission, where all runs of a test must agree.
"""

import functools
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from labkit.errors import SubmissionError
from labkit.grading.grade import compiled
from labkit.grading.run import CompiledSubmission, TestRun, run_test
from labkit.grading.threads import in_threads
from labkit.lab.manifest import Lab
from labkit.lab.skeleton import write_reference
from labkit.proof.load import busy_machine
from labkit.sandbox.detect import AUTO


@dataclass(frozen=True)
class Soaked:
    """What came of all runs of one test."""

    name: str
    verdicts: Counter[str]
    seconds: tuple[float, ...]
    odd: str = ""  # what the first run said whose verdict was not the usual one

    @property
    def agrees(self) -> bool:
        """All runs gave the same verdict, and none was a grader error."""
        return len(self.verdicts) == 1 and "error" not in self.verdicts


def soak(
    lab: Lab, source: Path | None, *, times: int, sandbox: str = AUTO, jobs: int = 2
) -> Iterator[Soaked]:
    """Runs each test so many times beside processes that busy-wait; None is the reference."""
    with ExitStack() as stack:
        if source is None:
            source = Path(stack.enter_context(TemporaryDirectory(prefix="labkit-soak-")))
            write_reference(lab, source)
        submission, _ = stack.enter_context(compiled(lab, source, sandbox=sandbox))
        stack.enter_context(busy_machine())
        if not submission.build.ok:
            raise SubmissionError(f"{source} does not compile:\n{submission.build.output}")
        for test in lab.tests:
            yield _soak_test(submission, test.name, times=times, jobs=jobs)


def _soak_test(submission: CompiledSubmission, name: str, *, times: int, jobs: int) -> Soaked:
    tasks = [_seeded(submission, name, seed) for seed in range(1, times + 1)]
    runs = in_threads(jobs, tasks, cancel=submission.cancel)
    verdicts = Counter(run.status for run in runs)
    usual = verdicts.most_common(1)[0][0]
    odd = next((f"seed {i}: {r.message}" for i, r in enumerate(runs, 1) if r.status != usual), "")
    return Soaked(name, Counter(verdicts), tuple(r.seconds for r in runs), odd)


def _seeded(submission: CompiledSubmission, name: str, seed: int) -> Callable[[], TestRun]:
    return functools.partial(run_test, submission.with_seed(seed), name)


def table(lab: Lab, soaked: list[Soaked], *, started: float) -> str:
    """A Markdown table: each test, its verdicts, how long it took."""
    rows = [
        "| Test | Runs | Verdicts | Median | Longest |",
        "|---|---:|---|---:|---:|",
    ]
    for one in soaked:
        verdicts = ", ".join(f"{count} {verdict}" for verdict, count in one.verdicts.items())
        rows.append(
            f"| `{one.name}` | {one.verdicts.total()} | {verdicts} "
            f"| {median(one.seconds):.2f} s | {max(one.seconds):.2f} s |"
        )
    runs = sum(one.verdicts.total() for one in soaked)
    agree = sum(one.agrees for one in soaked)
    rows += [
        "",
        f"{lab.name}: {runs} runs in {time.monotonic() - started:.0f} s; "
        f"{agree} of {len(soaked)} tests gave one verdict only.",
    ]
    return "\n".join(rows)
