"""Writes feedback.md, the report for students."""

import re
from collections.abc import Iterator
from typing import Final

from labkit.report.text import one_line, without_controls
from labkit.result import EXTRA_TITLE, WARNINGS, Result, TestResult

MAX_LINES: Final = 60


def feedback(result: Result) -> str:
    """The score, each failed test and how to reproduce it, and a table of all tests."""
    return "\n".join(_lines(result)).rstrip() + "\n"


def _lines(result: Result) -> Iterator[str]:
    yield f"# {_text(result.title)}: {result.headline}"
    yield ""
    yield f"Lab {result.lab}, submission {_code(result.submission.name)}."
    yield ""
    for note in result.submission.notes:
        yield f"Note: {_code(note)}"
        yield ""
    if not result.build.ok:
        yield "## It does not compile"
        yield ""
        yield "No test could be run. The compiler's output:"
        yield ""
        yield from _block(result.build.output)
        return
    broken = [t for t in result.tests if t.status == "error"]
    if broken:
        yield "## The grading is not complete"
        yield ""
        yield "The grader failed. This costs you no points: the submission must be graded again."
        yield ""
        for test in broken:
            yield f"- `{test.shown.name}`: {_code(test.shown.message)}"
        yield ""
    failed = [t for t in result.tests if t.status == "fail"]
    if failed:
        yield f"## What to fix ({len(failed)})"
        yield ""
        for test in failed:
            yield from _failure(test, result)
    yield "## All tests"
    yield ""
    yield from _table(result)


def _failure(test: TestResult, result: Result) -> Iterator[str]:
    shown = test.shown
    yield f"### {_text(shown.rule)}"
    yield ""
    yield f"`{shown.name}`, {test.max_points:g} points"
    yield ""
    if shown.message:
        yield from _block(shown.message)
    if shown.output.strip():
        yield "Your program printed:"
        yield ""
        yield from _block(shown.output)
    if shown.reproduce:
        yield "To reproduce the failure:"
        yield ""
        yield from _block(shown.reproduce)
    if test.name == WARNINGS and result.build.output.strip():
        yield "The compiler's output:"
        yield ""
        yield from _block(result.build.output)


def _table(result: Result) -> Iterator[str]:
    yield "| Test | Points | |"
    yield "|---|---:|---|"
    for group, title in [*result.groups.items(), ("", EXTRA_TITLE)]:
        tests = [t for t in result.tests if t.group == group]
        if tests:
            points = sum(t.points for t in tests)
            possible = sum(t.max_points for t in tests)
            yield f"| **{_text(title)}** | **{points:g} / {possible:g}** | |"
        for test in tests:
            mark = {"pass": "passed", "fail": "**failed**", "error": "grader error"}[test.status]
            yield f"| {_text(test.shown.rule)} | {test.points:g} / {test.max_points:g} | {mark} |"


def _text(text: str) -> str:
    """The kit's own text; what Markdown and HTML would interpret is escaped."""
    return re.sub(r"([\\`*_{}\[\]<>#|&~])", r"\\\1", one_line(text)).replace("\\&", "&amp;")


def _code(text: str) -> str:
    """Text that may be a student's, as code: nothing in code is a link, an @mention or HTML."""
    return f"`{one_line(text).replace('`', chr(39)) or ' '}`"


def _block(text: str) -> Iterator[str]:
    """A fenced block, whose fence is longer than any in the text."""
    lines = without_controls(text).strip("\n").split("\n")
    if len(lines) > MAX_LINES:
        cut = len(lines) - MAX_LINES
        lines = [*lines[:MAX_LINES], f"[{cut} more lines]"]
    longest = max((len(m) for m in re.findall(r"`+", "\n".join(lines))), default=0)
    fence = "`" * max(3, longest + 1)
    yield fence + "text"
    yield from lines
    yield fence
    yield ""
