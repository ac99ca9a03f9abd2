"""The rubric of a lab, as its handout shows it, made from lab.toml."""

from pathlib import Path
from typing import Final

from labkit.errors import ManifestError
from labkit.manifest import EXTRA_TITLE, SECRET_RULE, Lab, Test

BEGIN: Final = "<!-- rubric:begin -->"
END: Final = "<!-- rubric:end -->"


def rubric(lab: Lab) -> str:
    """A Markdown table: groups in order, each test with its rule and points."""
    rows = ["| What is graded | Points |", "|---|---:|"]
    for group in lab.groups:
        tests = [t for t in lab.tests if t.group == group.name]
        rows.append(_row(f"**{group.title}**", f"**{sum(t.points for t in tests):g}**"))
        rows += [_row(_rule(t), f"{t.points:g}") for t in tests]
    extra = [e for e in (lab.warnings, lab.memcheck) if e]
    if extra:
        rows.append(_row(f"**{EXTRA_TITLE}**", f"**{sum(e.points for e in extra):g}**"))
        rows += [_row(e.rule, f"{e.points:g}") for e in extra]
    rows.append(_row("**Together**", f"**{lab.points:g}**"))
    return "\n".join(rows) + "\n"


def _rule(test: Test) -> str:
    if test.detail == "secret":
        return SECRET_RULE
    return f"{test.rule} (`{test.name}`)" if test.public else test.rule


def _row(left: str, right: str) -> str:
    escaped = left.replace("|", "\\|")
    return f"| {escaped} | {right} |"


def handout_path(lab: Lab) -> Path:
    """Where the handout of a lab lies."""
    return lab.root / "handouts" / f"{lab.name}.md"


def handout_with_rubric(lab: Lab) -> tuple[str, str]:
    """The handout as it is, and as it should be."""
    path = handout_path(lab)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ManifestError(f"{path}: there is no handout") from error
    before, begin, rest = text.partition(BEGIN + "\n")
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ManifestError(f"{path}: needs a line {BEGIN} and a line {END}")
    return text, f"{before}{begin}{rubric(lab)}{end}{after}"


def write_rubric(lab: Lab) -> bool:
    """Brings the handout up to date; whether it changed."""
    old, new = handout_with_rubric(lab)
    if new != old:
        handout_path(lab).write_text(new, encoding="utf-8")
    return new != old
