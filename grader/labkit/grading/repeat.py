"""Repeats once what failed in the grader: an overloaded machine must not cost a point."""

from collections.abc import Callable
from typing import TypeVar

from labkit.errors import GraderError

T = TypeVar("T")


def twice(attempt: Callable[[], T]) -> T:
    """The result of an attempt, or of a second one if the grader fails in the first."""
    try:
        return attempt()
    except GraderError:
        return attempt()
