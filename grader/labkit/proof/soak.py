"""Soaks a lab: runs every graded test many times on a busy machine, each time with another seed.

A test with two different verdicts for one submission is flaky.  For the reference, every run must
pass; for any other submission, all runs of a test must agree.
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
from labkit.grading.outcomes import TestRun
from labkit.grading.run import CompiledSubmission, run_test
from labkit.grading.threads import in_threads
from labkit.lab.manifest import Lab
from labkit.lab.skeleton import write_reference
from labkit.proof.load import busy_machine
from labkit.sandbox.detect import AUTO


@dataclass(frozen=True)
class Soaked:
    """The outcome of all runs of one test."""

    name: str
    verdicts: Counter[str]
    seconds: tuple[float, ...]
    outlier: str = ""  # the message of the first run without the most frequent verdict

    @property
    def agrees(self) -> bool:
        """Whether all runs have the same verdict, and it is not a grader error."""
        return len(self.verdicts) == 1 and "error" not in self.verdicts


def soak(
    lab: Lab, source: Path | None, *, times: int, sandbox: str = AUTO, jobs: int = 2
) -> Iterator[Soaked]:
    """Runs each test `times` times, beside processes that busy-wait.

    It tests the reference if `source` is None.
    """
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
    messages = (f"seed {i}: {r.message}" for i, r in enumerate(runs, 1) if r.status != usual)
    return Soaked(name, Counter(verdicts), tuple(r.seconds for r in runs), next(messages, ""))


def _seeded(submission: CompiledSubmission, name: str, seed: int) -> Callable[[], TestRun]:
    return functools.partial(run_test, submission.with_seed(seed), name)


def table(lab: Lab, soaked: list[Soaked], *, started: float) -> str:
    """A Markdown table: each test, its verdicts and its durations."""
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
        f"{agree} of {len(soaked)} tests had one verdict only.",
    ]
    return "\n".join(rows)
