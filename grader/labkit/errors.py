"""The errors that end labkit, each with its exit status.

UsageError, ManifestError and SubmissionError say that the input is wrong.  GraderError says that
the grader failed; there is no score then.
"""

from typing import Final

EXIT_GRADED: Final = 0
EXIT_DISPROVED: Final = 1  # a check of the lab failed
EXIT_BAD_INPUT: Final = 2
EXIT_GRADER: Final = 3
EXIT_INTERRUPTED: Final = 130


class LabkitError(Exception):
    """Base class of all errors that end labkit; str() is the message for the user."""

    exit_code = EXIT_GRADER


class UsageError(LabkitError):
    """The command line, or a file that it names, is wrong."""

    exit_code = EXIT_BAD_INPUT


class ManifestError(LabkitError):
    """A lab.toml is wrong; the message names file and key."""

    exit_code = EXIT_BAD_INPUT


class SubmissionError(LabkitError):
    """The input cannot be read as a submission."""

    exit_code = EXIT_BAD_INPUT


class GraderError(LabkitError):
    """The grader or its machine failed; there is no score.  Only the instructor sees `log`."""

    exit_code = EXIT_GRADER

    def __init__(self, message: str, *, log: str = "") -> None:
        super().__init__(message)
        self.log = log


class Interrupted(LabkitError):
    """The run was interrupted (Ctrl-C, SIGTERM)."""

    exit_code = EXIT_INTERRUPTED

    def __init__(self, message: str = "interrupted") -> None:
        super().__init__(message)
