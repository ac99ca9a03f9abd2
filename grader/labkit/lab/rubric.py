"""The rubric of a lab: each graded test with its points (lab.toml) and its rule (the C files)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from labkit.errors import ManifestError
from labkit.lab.kit import Kit
from labkit.lab.manifest import Lab
from labkit.result import EXTRA_TITLE, Detail

SECRET_RULE: Final = "A further test of this group."
BEGIN: Final = "<!-- rubric:begin -->"
END: Final = "<!-- rubric:end -->"


@dataclass(frozen=True)
class GradedTest:
    """A test with its points, its rule and its level of detail."""

    name: str
    group: str
    points: float
    rule: str
    detail: Detail
    public: bool

    @property
    def shown_rule(self) -> str:
        """The sentence that students may see."""
        return SECRET_RULE if self.detail == "secret" else self.rule


def graded_tests(lab: Lab, kit: Kit) -> tuple[GradedTest, ...]:
    """The tests of a lab in the order of lab.toml."""
    listed = {test.name: test for test in kit.tests}
    return tuple(
        GradedTest(
            name=test.name,
            group=test.group,
            points=test.points,
            rule=listed[test.name].rule,
            detail=test.detail or ("open" if listed[test.name].public else "named"),
            public=listed[test.name].public,
        )
        for test in lab.tests
    )


def rubric(lab: Lab, kit: Kit) -> str:
    """A Markdown table: groups in order, each test with its rule and points."""
    rows = ["| What is graded | Points |", "|---|---:|"]
    for group, title in lab.groups.items():
        tests = [t for t in graded_tests(lab, kit) if t.group == group]
        rows.append(_row(f"**{title}**", f"**{sum(t.points for t in tests):g}**"))
        rows += [_row(_rule(t), f"{t.points:g}") for t in tests]
    extra = [e for e in (lab.warnings, lab.memcheck) if e]
    if extra:
        rows.append(_row(f"**{EXTRA_TITLE}**", f"**{sum(e.points for e in extra):g}**"))
        rows += [_row(e.rule, f"{e.points:g}") for e in extra]
    rows.append(_row("**Total**", f"**{lab.points:g}**"))
    return "\n".join(rows) + "\n"


def _rule(test: GradedTest) -> str:
    public = test.public and test.detail != "secret"
    return f"{test.shown_rule} (`{test.name}`)" if public else test.shown_rule


def _row(left: str, right: str) -> str:
    escaped = left.replace("|", "\\|")
    return f"| {escaped} | {right} |"


def handout_path(lab: Lab) -> Path:
    """The path of a lab's handout."""
    return lab.root / "handouts" / f"{lab.name}.md"


def handout_with_rubric(lab: Lab, kit: Kit) -> tuple[str, str]:
    """The text of the handout, and the same text with the current rubric."""
    path = handout_path(lab)
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise ManifestError(f"{path}: there is no handout") from error
    before, begin, rest = text.partition(BEGIN + "\n")
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ManifestError(f"{path}: needs a line {BEGIN} and a line {END}")
    return text, f"{before}{begin}{rubric(lab, kit)}{end}{after}"


def write_rubric(lab: Lab, kit: Kit) -> bool:
    """Updates the rubric in the handout; returns whether it changed."""
    old, new = handout_with_rubric(lab, kit)
    if new != old:
        handout_path(lab).write_text(new, encoding="utf-8")
    return new != old
