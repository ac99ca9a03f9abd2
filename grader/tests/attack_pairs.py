"""Attack pairs: honest wrong code, and the same code with an attack, on a real lab.

grader/attacks/pairs/NAME has two files:

    pair.toml   lab, what is wrong, what the attack tries, and the tests that matter
    attack.c    the attack; its line `#include "honest.c"` stands for the wrong code

The wrong code is a broken version of the lab (`base`), or the file honest.c beside attack.c.  So
the two submissions cannot drift apart.  `@victim@` in an attack stands for a directory that holds
the reference, as another student's submission on the same machine.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

import msgspec

from labkit.grading.grade import grade_submission
from labkit.lab.manifest import Lab, load_lab
from labkit.lab.skeleton import write_reference
from labkit.proof.broken import load_broken, write_broken
from labkit.result import MEMCHECK, Result, Status
from labkit.sandbox.interface import Kind

REPOSITORY: Final = Path(__file__).parents[2]
PAIRS: Final = REPOSITORY / "grader/attacks/pairs"
NAMES: Final = tuple(sorted(path.parent.name for path in PAIRS.glob("*/pair.toml")))
HONEST: Final = '#include "honest.c"\n'
VICTIM: Final = "@victim@"


class Pair(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """pair.toml."""

    lab: str
    tries: str  # one sentence: what the attack does to gain points
    tests: tuple[str, ...]  # the tests that matter; "memcheck" and "warnings" too
    base: str | None = None  # a broken version of the lab
    kinds: tuple[Kind, ...] = ("bwrap", "uid")
    loses: tuple[str, ...] = ()  # tests that the attack may fail though the honest code passes them


def load_pair(name: str) -> Pair:
    """Reads pair.toml; an unknown key is an error."""
    table = tomllib.loads((PAIRS / name / "pair.toml").read_text(encoding="utf-8"))
    pair = msgspec.convert(table, Pair)
    assert pair.tests, name
    assert (pair.base is None) == (PAIRS / name / "honest.c").exists(), name
    assert set(pair.tests) | set(pair.loses) <= set(lab_of(pair).graded), name
    return pair


def lab_of(pair: Pair) -> Lab:
    """The real lab that the pair attacks."""
    return load_lab(REPOSITORY, pair.lab)


def write_pair(name: str, into: Path) -> tuple[Path, Path]:
    """Writes both submissions as handed in: the honest one, and the one with the attack."""
    pair = load_pair(name)
    lab = lab_of(pair)
    source = lab.sources.submission[0]
    honest, attack = into / "honest", into / "attack"
    for folder in (honest, attack):
        if pair.base:
            patch = lab.soldir / "broken" / f"{pair.base}.patch"
            write_broken(load_broken(patch, lab), lab, folder)
        else:
            write_reference(lab, folder)
            (folder / source).write_bytes((PAIRS / name / "honest.c").read_bytes())
    text = (PAIRS / name / "attack.c").read_text(encoding="utf-8")
    if VICTIM in text:
        text = text.replace(VICTIM, str(into / "victim"))
        write_reference(lab, into / "victim")
    assert text.count(HONEST) == 1, f"{name}: attack.c needs one line {HONEST}"
    wrong = (honest / source).read_text(encoding="utf-8")
    (attack / source).write_text(text.replace(HONEST, wrong), encoding="utf-8")
    return honest, attack


@dataclass(frozen=True)
class Graded:
    """The verdicts of one submission."""

    result: Result

    @property
    def verdicts(self) -> Mapping[str, Status]:
        """The status of each test."""
        return {test.name: test.status for test in self.result.tests}

    @property
    def messages(self) -> str:
        """Why tests failed."""
        return "\n".join(f"{test.name}: {test.log}" for test in self.result.failed)


def grade(pair: Pair, submission: Path, kind: Kind, *, full: bool = False) -> Graded:
    """Grades one submission of a pair: the tests that matter, or all of them."""
    lab = lab_of(pair)
    names = lab.graded if full else pair.tests
    chosen = [test.name for test in lab.tests if test.name in names]
    if (
        lab.memcheck and MEMCHECK in names and not full
    ):  # the tests that matter decide memory points, too
        tests = tuple(name for name in lab.memcheck.tests if name in chosen)
        lab = replace(lab, memcheck=msgspec.structs.replace(lab.memcheck, tests=tests))
    result = grade_submission(
        lab, submission, sandbox=kind, valgrind=MEMCHECK in names, only=chosen
    )
    return Graded(result)


def differences(pair: Pair, honest: Graded, attack: Graded) -> list[str]:
    """Where the attack has another verdict than the honest code, and may not."""
    found = []
    for name, status in attack.verdicts.items():
        before = honest.verdicts[name]
        if status == before or (name in pair.loses and status == "fail"):
            continue
        found.append(f"{name}: {before} without the attack, {status} with it")
    return found


def gains(honest: Graded, attack: Graded) -> list[str]:
    """Where the attack is better off; in tests that do not matter to it, it may lose points."""
    return [
        f"{name}: {honest.verdicts[name]} without the attack, {status} with it"
        for name, status in attack.verdicts.items()
        if status != honest.verdicts[name] and status != "fail"
    ]
