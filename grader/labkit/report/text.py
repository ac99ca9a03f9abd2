"""Removes control characters from the text of student code."""

import unicodedata
from typing import Final

KEPT: Final = frozenset("\n\t")


def without_controls(text: str) -> str:
    """Replaces control characters: escapes, carriage returns, direction marks, and others.

    Characters for private use go as well, because fonts of terminals draw anything for them.
    """
    return "".join(c if c in KEPT or not _control(c) else "\N{REPLACEMENT CHARACTER}" for c in text)


def one_line(text: str) -> str:
    """The text without control characters, on one line."""
    return " ".join(without_controls(text).split())


def _control(c: str) -> bool:
    return unicodedata.category(c) in ("Cc", "Cf", "Co", "Cs", "Zl", "Zp")
