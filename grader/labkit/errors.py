"""What can go wrong, each with the exit status of the program that it ends.

Two voices, never mixed: the first three say that the input is wrong, GraderError
says that the grader broke, which is never a score.
"""

from typing import Final

EXIT_GRADED: Final = 0
EXIT_DISPROVED: Final = 1  # a check of the lab does not hold
EXIT_BAD_INPUT: Final = 2
EXIT_GRADER: Final = 3
EXIT_INTERRUPTED: Final = 130


class LabkitError(Exception):
    """Base of all errors that end labkit; str() is the message for a person."""

    exit_code = EXIT_GRADER


class UsageError(LabkitError):
    """The command line asks for something that does not exist."""

    exit_code = EXIT_BAD_INPUT


class ManifestError(LabkitError):
    """A lab.toml is wrong; the message names file and key."""

    exit_code = EXIT_BAD_INPUT


class SubmissionError(LabkitError):
    """The input cannot be read as a submission."""

    exit_code = EXIT_BAD_INPUT


class GraderError(LabkitError):
    """The grader or its machine failed: never a score."""

    exit_code = EXIT_GRADER


class Interrupted(LabkitError):
    """The run was interrupted (Ctrl-C, SIGTERM)."""

    exit_code = EXIT_INTERRUPTED

    def __init__(self, message: str = "interrupted") -> None:
        super().__init__(message)
