"""Reports for the terminal: one submission as text, a class as a table."""

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from labkit.report.text import one_line, without_controls
from labkit.result import ClassEntry, Result

if TYPE_CHECKING:  # rich takes 30 ms to import, and one submission does not need it
    from rich.table import Table

MAX_LINES: Final = 12
MAX_FAILED: Final = 5  # of one submission, in the table of a class
# What a CI runner takes for a command: "::" at the beginning of a line, "##[" anywhere.
COMMAND: Final = re.compile(r"^(\s*:)(?=:)|(#)(?=#\[)")
MARKS: Final = {"pass": "passed", "fail": "FAILED", "error": "GRADER ERROR"}


def summary(result: Result, folder: Path | None) -> str:
    """The score, the failed tests with their messages, and the path of the complete feedback."""
    return "\n".join(_no_command(line) for line in _summary(result, folder))


def _summary(result: Result, folder: Path | None) -> Iterator[str]:
    name = one_line(result.submission.name)
    how = f"{result.seconds:.2f} s, sandbox {result.sandbox}"
    yield f"{result.lab}  {name}: {result.headline}  ({how})"
    for note in result.submission.notes:
        yield f"  note: {one_line(note)}"
    if not result.build.ok:
        yield "  does not compile:"
        yield from _indented(result.build.output)
    else:
        interrupted = result.status == "incomplete"
        not_run = [t for t in result.failed if interrupted and t.status == "error"]
        for test in result.failed:
            if test in not_run:
                continue
            yield f"  {MARKS[test.status]:6}  {test.shown.name}: {one_line(test.shown.rule)}"
            yield from _indented(test.shown.message)
        if not_run:
            yield f"  not run: {len(not_run)} of {len(result.tests)} tests"
    if folder is not None:
        yield f"  complete feedback: {folder / 'feedback.md'}"


def _indented(text: str) -> Iterator[str]:
    lines = without_controls(text).strip("\n").split("\n") if text.strip() else []
    for line in lines[:MAX_LINES]:
        yield "          " + line
    if len(lines) > MAX_LINES:
        yield f"          [{len(lines) - MAX_LINES} more lines]"


def _no_command(line: str) -> str:
    """A line that no CI runner obeys."""
    return COMMAND.sub(r"\1\2 ", line)


def class_table(title: str, rows: Sequence[ClassEntry]) -> "Table":
    """Submission, score, the tests that failed with their rule, time."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title=title, title_justify="left", show_lines=True)
    table.add_column("submission", overflow="fold")
    table.add_column("score", justify="right", no_wrap=True)
    table.add_column("failed", overflow="fold", ratio=1)
    table.add_column("time", justify="right", no_wrap=True)
    for row in rows:
        seconds = f"{row.result.seconds:.2f} s" if row.result else ""
        table.add_row(
            Text(_no_command(one_line(row.name))), _score(row), Text(_failed(row)), seconds
        )
    return table


def _score(row: ClassEntry) -> str:
    if row.result is None or row.result.score is None:
        return "none"
    return f"{row.result.score:g}"


def _failed(row: ClassEntry) -> str:
    if row.result is None:
        return _no_command(one_line(row.problem))
    if row.result.status == "incomplete":
        return "interrupted"
    if not row.result.build.ok:
        return "does not compile"
    if not row.result.failed:
        return ""
    if not any(t.status == "pass" for t in row.result.tests):
        return "every test"
    shown = [
        f"{t.shown.name}: "
        + (t.shown.rule if t.status == "fail" else f"grader error: {one_line(t.shown.message)}")
        for t in row.result.failed
    ]
    if len(shown) > MAX_FAILED:
        shown = [*shown[:MAX_FAILED], f"and {len(shown) - MAX_FAILED} more"]
    return "\n".join(_no_command(one_line(line)) for line in shown)
