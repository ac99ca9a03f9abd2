"""What can go wrong, each with the exit status it ends the program with.

Two voices, never mixed: the first three say that what was handed in is wrong,
GraderError says that the grader broke, which is never a score.
"""

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from labkit.result import Result

EXIT_GRADED: Final = 0
EXIT_NOT_HELD: Final = 1  # what was to be proved is not so
EXIT_BAD_INPUT: Final = 2
EXIT_GRADER: Final = 3
EXIT_INTERRUPTED: Final = 130


class LabkitError(Exception):
    """Anything labkit stops for; str() is the message for a person."""

    exit_code = EXIT_GRADER


class UsageError(LabkitError):
    """The command line asks for something that does not exist."""

    exit_code = EXIT_BAD_INPUT


class ManifestError(LabkitError):
    """A lab.toml is wrong; the message names file and key."""

    exit_code = EXIT_BAD_INPUT


class SubmissionError(LabkitError):
    """What was handed in cannot be read as a submission."""

    exit_code = EXIT_BAD_INPUT


class GraderError(LabkitError):
    """The grader or its machine failed: never a score."""

    exit_code = EXIT_GRADER


class Interrupted(LabkitError):
    """Somebody pressed Ctrl-C; `partial` is what had been found out by then."""

    exit_code = EXIT_INTERRUPTED

    def __init__(self, message: str = "interrupted", *, partial: "Result | None" = None) -> None:
        super().__init__(message)
        self.partial = partial
