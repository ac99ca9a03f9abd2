"""Makes untrusted file names printable.

A file name may contain newlines, escape sequences, right-to-left marks and bytes that are not
UTF-8.  Messages show it as one line of printable characters.
"""

from collections.abc import Iterable
from typing import Final

MAX_SHOWN_LENGTH: Final = 80
MAX_SHOWN: Final = 10


def escaped(name: str) -> str:
    """The complete name on one line; unprintable characters become escapes."""
    text = name.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else _escape(c) for c in text)


def printable(name: str) -> str:
    """The escaped name, shortened if it is long."""
    shown = escaped(name[: MAX_SHOWN_LENGTH + 1])
    return shown if len(shown) <= MAX_SHOWN_LENGTH else shown[: MAX_SHOWN_LENGTH - 3] + "..."


def quote(name: str) -> str:
    """The printable name in quotes."""
    return f"'{printable(name)}'"


def quote_path(path: str) -> str:
    """A complete path in quotes; it is not shortened, because its end matters most."""
    return f"'{escaped(path)}'"


def quote_all(names: Iterable[str]) -> str:
    """A list of quoted names, of which only the first few are shown."""
    every = list(names)
    rest = len(every) - MAX_SHOWN
    shown = ", ".join(quote(name) for name in every[:MAX_SHOWN])
    return shown + (f" and {rest} more" if rest > 0 else "")


def _escape(c: str) -> str:
    return c.encode("unicode_escape").decode("ascii")
