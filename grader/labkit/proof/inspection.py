"""Checks of a lab that run no submission.

Each function returns a list of problems, which is empty if the check passes.  Partner: verify.py,
whose checks run submissions.
"""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from labkit.lab.kit import build_kit
from labkit.lab.manifest import Lab
from labkit.lab.rubric import handout_path, handout_with_rubric
from labkit.lab.skeleton import preprocessed, skeleton_diff
from labkit.proof.broken import broken_paths, load_broken

MIN_BROKEN: Final = 12
MIN_ACCEPTED: Final = 3
MAX_RULE_WORDS: Final = 25
SENTENCE: Final = re.compile(r"([A-Z]|[a-z_0-9]+\(\)).*\.")  # may begin with a function's name
COPIED_LINES: Final = 6  # this many consecutive equal lines are a copy


def accepted_folders(lab: Lab) -> tuple[Path, ...]:
    """The directories of other correct solutions, in order."""
    return tuple(sorted(p for p in (lab.soldir / "accepted").glob("*") if p.is_dir()))


def skeleton_is_generated(lab: Lab) -> list[str]:
    """The skeleton in labs/NN is the one generated from the reference."""
    diff = skeleton_diff(lab)
    return [f"run `labkit skeleton {lab.name}`, labs/{lab.name} differs:\n{diff}"] if diff else []


def rubric_is_generated(lab: Lab) -> list[str]:
    """The handout shows the points of lab.toml."""
    old, new = handout_with_rubric(lab, build_kit(lab))
    path = handout_path(lab).relative_to(lab.root)
    return [] if old == new else [f"run `labkit skeleton {lab.name}`, the rubric in {path} differs"]


def there_are_enough(lab: Lab) -> list[str]:
    """There are enough broken versions and accepted solutions to prove the lab."""
    problems = []
    for what, have, need in (
        ("broken versions", len(broken_paths(lab)), MIN_BROKEN),
        ("accepted solutions", len(accepted_folders(lab)), MIN_ACCEPTED),
    ):
        if have < need:
            problems.append(f"{have} {what}, at least {need} are needed")
    versions = {path.stem for path in broken_paths(lab)}
    problems += [
        f"lab.toml: sample: there is no broken version {name}"
        for name in (*lab.sample.broken, lab.sample.hangs)
        if name and name not in versions
    ]
    folders = {p.name for p in accepted_folders(lab)}
    problems += [
        f"lab.toml: accepted.{name}: there is no directory solutions/{lab.name}/accepted/{name}"
        for name in lab.accepted
        if name not in folders
    ]
    return problems


def rules_are_short(lab: Lab) -> list[str]:
    """A rule is one sentence that a student can act on."""
    problems = []
    for test in build_kit(lab).tests:
        count = len(test.rule.split())
        if count > MAX_RULE_WORDS:
            problems.append(
                f"the rule of {test.name} has {count} words, more than {MAX_RULE_WORDS}: "
                "move the rest to another test, or to the contract"
            )
        if not SENTENCE.fullmatch(test.rule):
            problems.append(f"the rule of {test.name} is not a sentence: {test.rule!r}")
    return problems


def every_test_was_seen_to_fail(lab: Lab) -> list[str]:
    """A broken version names each graded test, including memcheck and warnings."""
    named = {name for path in broken_paths(lab) for name in load_broken(path, lab).fails}
    return [f"no broken version fails {name}" for name in lab.graded if name not in named]


def nothing_secret_is_handed_out(lab: Lab) -> list[str]:
    """labs/NN contains nothing from solutions/."""
    problems = []
    hidden = [t.name for t in build_kit(lab).tests if not t.public]
    secret = set(_windows(_secret_texts(lab)))
    secret -= set(_windows(preprocessed(lab.soldir / name, solution=False) for name in lab.files))
    for path in _handed_out(lab):
        name = path.relative_to(lab.root)
        text = path.read_text(encoding="utf-8", errors="replace")
        problems += [f"{name} names the hidden test {test}" for test in hidden if test in text]
        problems += [
            f"{name} contains the word {w}" for w in ("SOLUTION", "solutions/") if w in text
        ]
        for window in _windows([text]):
            if window in secret:
                problems.append(f"{name} contains lines from solutions/:\n" + "\n".join(window))
                break
    return problems


def _handed_out(lab: Lab) -> Iterator[Path]:
    for path in sorted(lab.labdir.rglob("*")):
        if path.is_file() and path.relative_to(lab.labdir).parts[0] != "build":
            yield path


def _secret_texts(lab: Lab) -> Iterator[str]:
    for name in lab.files:
        yield preprocessed(lab.soldir / name, solution=True)
    for path in (*lab.soldir.glob("test_hidden*.[ch]"), *(lab.soldir / "accepted").rglob("*.c")):
        yield path.read_text(encoding="utf-8", errors="replace")


def _windows(texts: Iterable[str]) -> Iterator[tuple[str, ...]]:
    """Every COPIED_LINES consecutive lines, without blank lines, braces and includes."""
    for text in texts:
        lines = [" ".join(line.split()) for line in text.splitlines()]
        lines = [line for line in lines if len(line) > 2 and not line.startswith("#include")]
        for i in range(len(lines) - COPIED_LINES + 1):
            yield tuple(lines[i : i + COPIED_LINES])
