"""Grades one submission after the other, and goes on when one of them cannot be graded."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from labkit.errors import (
    EXIT_GRADED,
    EXIT_GRADER,
    EXIT_INTERRUPTED,
    GraderError,
    Interrupted,
    SubmissionError,
)
from labkit.grading.grade import JOBS, grade_submission, result_folder, write_result
from labkit.intake.collect import submission_name
from labkit.lab.manifest import Lab
from labkit.result import ClassEntry, Result
from labkit.sandbox.detect import AUTO


@dataclass(frozen=True)
class GradeOptions:
    """How submissions are graded."""

    sandbox: str = AUTO
    valgrind: bool = True
    jobs: int = JOBS
    seed: int | None = None


def grade(lab: Lab, submission: Path, options: GradeOptions) -> Result:
    """The result of one submission."""
    return grade_submission(
        lab,
        submission,
        sandbox=options.sandbox,
        valgrind=options.valgrind,
        jobs=options.jobs,
        seed=options.seed,
    )


def exit_status(result: Result) -> int:
    """The exit status that a result stands for."""
    statuses = {"graded": EXIT_GRADED, "incomplete": EXIT_INTERRUPTED, "error": EXIT_GRADER}
    return statuses[result.status]


def grade_class(
    lab: Lab, submissions: Sequence[Path], options: GradeOptions
) -> Iterator[tuple[ClassEntry, int]]:
    """Grades a class: each entry with its exit status; results and feedback are written.

    Ends early when the run is interrupted.
    """
    for path in submissions:
        try:
            result = grade(lab, path, options)
        except (SubmissionError, GraderError) as error:
            yield ClassEntry(path.name, None, str(error)), error.exit_code
            continue
        except (KeyboardInterrupt, Interrupted):
            yield ClassEntry(path.name, None, "interrupted"), EXIT_INTERRUPTED
            return
        write_result(result, result_folder(lab, submission_name(path)))
        status = exit_status(result)
        yield ClassEntry(path.name, result), status
        if status == EXIT_INTERRUPTED:
            return
