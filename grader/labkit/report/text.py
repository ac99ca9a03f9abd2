"""Text from student code made harmless: no control characters."""

import unicodedata
from typing import Final

KEPT: Final = frozenset("\n\t")


def without_controls(text: str) -> str:
    """The text without escape sequences' start, carriage returns or marks of direction."""
    return "".join(c if c in KEPT or not _control(c) else "\N{REPLACEMENT CHARACTER}" for c in text)


def one_line(text: str) -> str:
    """The same on one line."""
    return " ".join(without_controls(text).split())


def _control(c: str) -> bool:
    return unicodedata.category(c) in ("Cc", "Cf", "Cs", "Zl", "Zp")
