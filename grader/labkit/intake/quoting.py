"""Names chosen by unknown people, made fit to be shown.

A file name may hold newlines, escape sequences, right-to-left marks and bytes
that are no UTF-8.  What is shown is one line of printable characters.
"""

from collections.abc import Iterable
from typing import Final

MAX_SHOWN_LENGTH: Final = 80
MAX_SHOWN: Final = 10


def escaped(name: str) -> str:
    """The name on one line, whole: what cannot be printed is shown as an escape."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else _escape(c) for c in text)


def printable(name: str) -> str:
    """The same, cut when it is long."""
    shown = escaped(name)
    return shown if len(shown) <= MAX_SHOWN_LENGTH else shown[: MAX_SHOWN_LENGTH - 3] + "..."


def quote(name: str) -> str:
    """The same in quotes, so that one sees where a name begins and ends."""
    return f"'{printable(name)}'"


def quote_path(path: str) -> str:
    """A path in quotes, whole: its end says most."""
    return f"'{escaped(path)}'"


def quote_all(names: Iterable[str]) -> str:
    """Several names as a list for a sentence, cut after the first few."""
    every = [quote(name) for name in names]
    rest = len(every) - MAX_SHOWN
    return ", ".join(every[:MAX_SHOWN]) + (f" and {rest} more" if rest > 0 else "")


def _escape(c: str) -> str:
    return c.encode("unicode_escape").decode("ascii")
