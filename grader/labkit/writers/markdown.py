"""feedback.md: what a student reads."""

import re
from collections.abc import Iterator, Sequence
from typing import Final

from labkit.manifest import EXTRA_TITLE, MEMCHECK, SECRET_RULE, WARNINGS
from labkit.memcheck import Finding
from labkit.result import Result, TestResult
from labkit.writers.plain import one_line, plain

MOST_LINES: Final = 60


def feedback(result: Result) -> str:
    """A page: the score, what was broken and how to see it for oneself, the rest."""
    return "\n".join(_lines(result)).rstrip() + "\n"


def _lines(result: Result) -> Iterator[str]:
    yield f"# {_text(result.title)}: {headline(result)}"
    yield ""
    yield f"Lab {result.lab}, submission `{_code(result.submission.name)}`."
    yield ""
    for note in result.submission.notes:
        yield f"Note: {_text(note)}"
        yield ""
    if not result.build.ok:
        yield "## It does not compile"
        yield ""
        yield "No test could be run. This is what the compiler says:"
        yield ""
        yield from _block(result.build.output)
        return
    broken = [t for t in result.tests if t.status == "error"]
    if broken:
        yield "## Not graded to the end"
        yield ""
        yield "This is not your fault, and costs you nothing: it has to be graded again."
        yield ""
        for test in broken:
            yield f"- `{test.name}`: {_text(test.message)}"
        yield ""
    failed = [t for t in result.tests if t.status == "fail"]
    if failed:
        yield f"## What to mend ({len(failed)})"
        yield ""
        for test in failed:
            yield from _failure(test, result)
    yield "## All tests"
    yield ""
    yield from _table(result)


def headline(result: Result) -> str:
    """The score, or why there is none."""
    if result.status == "graded" and result.score is not None:
        return f"{result.score:g} of {result.max_score:g} points"
    if result.status == "incomplete":
        return "no score, the grading was interrupted"
    return "no score, the grader had a problem"


def _failure(test: TestResult, result: Result) -> Iterator[str]:
    title = SECRET_RULE if test.detail == "secret" else _text(test.rule)
    yield f"### {title}"
    yield ""
    if test.detail != "secret":
        yield f"`{test.name}`, {test.max_points:g} points"
        yield ""
    if test.name == MEMCHECK and result.memcheck:
        yield from _findings(result.memcheck)
    elif test.message:
        yield from _block(test.message)
    if test.output.strip():
        yield "Your program printed:"
        yield ""
        yield from _block(test.output)
    if test.reproduce:
        yield "See it for yourself:"
        yield ""
        yield from _block(test.reproduce)
    if test.name == WARNINGS and result.build.output.strip():
        yield "The compiler's own words:"
        yield ""
        yield from _block(result.build.output)


def _findings(findings: Sequence[Finding]) -> Iterator[str]:
    for finding in findings:
        places = [
            f"`{_code(p.function)}`" + (f" ({_text(p.file)}:{p.line})" if p.line else "")
            for p in finding.where
        ]
        yield f"- {_text(finding.message)}: in {', called by '.join(places)}"
    yield ""


def _table(result: Result) -> Iterator[str]:
    yield "| Test | Points | |"
    yield "|---|---:|---|"
    for group, title in [*result.groups.items(), ("", EXTRA_TITLE)]:
        tests = [t for t in result.tests if t.group == group]
        if tests:
            points = sum(t.points for t in tests)
            most = sum(t.max_points for t in tests)
            yield f"| **{_text(title)}** | **{points:g} / {most:g}** | |"
        for test in tests:
            rule = SECRET_RULE if test.detail == "secret" else _text(test.rule)
            mark = {"pass": "passed", "fail": "**failed**", "error": "grader error"}[test.status]
            yield f"| {rule} | {test.points:g} / {test.max_points:g} | {mark} |"


def _text(text: str) -> str:
    """Text that Markdown and HTML leave as it is."""
    return re.sub(r"([\\`*_{}\[\]<>#|&~])", r"\\\1", one_line(text)).replace("\\&", "&amp;")


def _code(text: str) -> str:
    return one_line(text).replace("`", "'")


def _block(text: str) -> Iterator[str]:
    """A fenced block; the fence is longer than any in the text."""
    lines = plain(text).strip("\n").split("\n")
    if len(lines) > MOST_LINES:
        cut = len(lines) - MOST_LINES
        lines = [*lines[:MOST_LINES], f"[{cut} more lines]"]
    longest = max((len(m) for m in re.findall(r"`+", "\n".join(lines))), default=0)
    fence = "`" * max(3, longest + 1)
    yield fence + "text"
    yield from lines
    yield fence
    yield ""
