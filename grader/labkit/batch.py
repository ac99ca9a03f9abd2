"""Grades a submission, or a class, one submission after another, and writes the results."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final

from labkit.errors import (
    EXIT_GRADED,
    EXIT_GRADER,
    EXIT_INTERRUPTED,
    GraderError,
    Interrupted,
    SubmissionError,
)
from labkit.grading.grade import (
    JOBS,
    choose_sandbox,
    grade_submission,
)
from labkit.intake.collect import submission_name
from labkit.lab.kit import build_folder, build_kit
from labkit.lab.manifest import Lab
from labkit.report import markdown
from labkit.result import ClassEntry, Result
from labkit.sandbox.detect import AUTO

MAX_NAME_BYTES: Final = 200  # of a directory; a file system allows 255


@dataclass(frozen=True)
class GradeOptions:
    """How submissions are graded."""

    sandbox: str = AUTO
    valgrind: bool = True
    jobs: int = JOBS
    seed: int | None = None


def grade(lab: Lab, submission: Path, options: GradeOptions) -> Result:
    """Grades one submission."""
    return grade_submission(
        lab,
        submission,
        sandbox=options.sandbox,
        valgrind=options.valgrind,
        jobs=options.jobs,
        seed=options.seed,
    )


def exit_status(result: Result) -> int:
    """The exit status for a result."""
    statuses = {"graded": EXIT_GRADED, "incomplete": EXIT_INTERRUPTED, "error": EXIT_GRADER}
    return statuses[result.status]


def grade_class(
    lab: Lab, submissions: Sequence[Path], options: GradeOptions
) -> Iterator[tuple[ClassEntry, int]]:
    """Grades a class, writes results and feedback, and yields each entry with its exit status.

    Stops when the run is interrupted.  An error that affects every submission is raised at once.
    """
    build_kit(lab)
    choose_sandbox(options.sandbox, lab)
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


def result_folder(lab: Lab, name: str) -> Path:
    """The default directory for the result of a submission."""
    safe = name if name.strip(".") else "submission"
    encoded = safe.encode()
    if len(encoded) > MAX_NAME_BYTES:  # escaped characters take more bytes
        start = encoded[:MAX_NAME_BYTES].decode(errors="ignore")
        safe = f"{start}-{sha256(encoded).hexdigest()[:16]}"
    return build_folder(lab.root) / "results" / lab.name / safe


def write_result(result: Result, folder: Path) -> None:
    """Writes result.json and feedback.md, each atomically; other users cannot read them."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        folder.mkdir(mode=0o700, exist_ok=True)
        for name, text in (
            ("result.json", result.to_json()),
            ("feedback.md", markdown.feedback(result)),
        ):
            new = folder / f".{name}.new"
            new.write_text(text, encoding="utf-8", errors="backslashreplace")
            new.rename(folder / name)
    except OSError as error:
        raise GraderError(f"the result cannot be written to {folder}: {error}") from error
