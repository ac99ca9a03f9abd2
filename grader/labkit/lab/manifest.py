"""A lab as data: reads and checks solutions/NN/lab.toml.

lab.toml is the only list of points, groups, levels of detail and limits.  The rules of the tests
stand in the C files (kit.py), and the names of the source files in the lab's Makefile (sources.py).
Every error in lab.toml is reported with file and key.
"""

import re
import tomllib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final

import msgspec

from labkit.errors import ManifestError, UsageError
from labkit.lab.sources import Program, Sources, read_sources
from labkit.limits import Limits, Positive
from labkit.result import MEMCHECK, WARNINGS, Detail

LAB_NAME: Final = re.compile(r"[0-9]{2}-[a-z0-9-]+")
TEST_ENTRY: Final = re.compile(r"test\[(\d+)\]")

Line = Annotated[str, msgspec.Meta(pattern=r"^[^\n]*\S[^\n]*\Z")]
Name = Annotated[str, msgspec.Meta(pattern=r"^[a-z_][a-z0-9_]*\Z")]
Names = Annotated[tuple[Name, ...], msgspec.Meta(min_length=1)]
Points = Annotated[float, msgspec.Meta(gt=0, le=100)]


class Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A table of lab.toml: each key is known and has its type."""


class Group(Table, frozen=True):
    """A heading of the rubric."""

    title: Line


class Test(Table, frozen=True):
    """The entry of a graded test: a C function of test_public.c or of a file of hidden tests."""

    __test__ = False  # for pytest: not a class of tests

    name: Name
    group: Name
    points: Points
    detail: Detail | None = None  # None: open for a public test, named for a hidden one


class Warnings(Table, frozen=True):
    """Points for code that compiles without a warning."""

    points: Points
    rule: Line = "The code compiles without a warning (gcc -Wall -Wextra)."


class Memcheck(Table, frozen=True):
    """The Valgrind pass: points, the tests that are run under it, and what it may take."""

    points: Points
    tests: Names
    budget_s: Positive = 30
    rule: Line = "Valgrind finds no invalid access, no undefined value and no leak."


class Accepted(Table, frozen=True):
    """Another correct solution; `covers` names groups, None is all of them."""

    covers: Names | None = None


class Sample(Table, frozen=True):
    """The broken versions in the sample class, which show what feedback looks like."""

    broken: tuple[Name, ...] = ()
    hangs: Name | None = None


class Manifest(Table, frozen=True):
    """All of lab.toml."""

    title: Line
    groups: dict[Name, Group]
    test: tuple[Test, ...]
    limits: Limits = Limits()
    warnings: Warnings | None = None
    memcheck: Memcheck | None = None
    accepted: dict[str, Accepted] = {}
    sample: Sample = Sample()


@dataclass(frozen=True)
class Lab:
    """A lab as the grader knows it before it compiles anything."""

    name: str
    title: str
    labdir: Path
    soldir: Path
    sources: Sources
    limits: Limits
    groups: Mapping[str, str]  # name to title, in order
    tests: tuple[Test, ...]
    warnings: Warnings | None = None
    memcheck: Memcheck | None = None
    accepted: Mapping[str, Accepted] = field(default_factory=dict)
    sample: Sample = field(default_factory=Sample)

    @property
    def root(self) -> Path:
        """The repository that contains the lab."""
        return self.labdir.parent.parent

    @property
    def manifest_path(self) -> Path:
        """The path of lab.toml, for messages."""
        return self.soldir / "lab.toml"

    @property
    def files(self) -> tuple[str, ...]:
        """Every file that a student hands in."""
        return self.sources.handed_in

    @property
    def programs(self) -> tuple[Program, ...]:
        """The executables that tests start."""
        return self.sources.programs

    @property
    def graded(self) -> tuple[str, ...]:
        """The names of everything that has points, in the order of the rubric."""
        extra = {WARNINGS: self.warnings, MEMCHECK: self.memcheck}
        return (*(t.name for t in self.tests), *(name for name, table in extra.items() if table))

    @property
    def points(self) -> float:
        """The points of the whole lab."""
        tables = (*self.tests, self.warnings, self.memcheck)
        return sum(table.points for table in tables if table)


def lab_names(root: Path) -> tuple[str, ...]:
    """The labs that can be graded, in order."""
    return tuple(sorted(p.parent.name for p in (root / "solutions").glob("*/lab.toml")))


def load_lab(root: Path, name: str) -> Lab:
    """Reads a lab; UsageError if there is no lab of that name."""
    if not LAB_NAME.fullmatch(name) or name not in lab_names(root):
        known = ", ".join(lab_names(root)) or "none yet"
        raise UsageError(f"no lab {name!r}; there are: {known}")
    soldir = root / "solutions" / name
    labdir = root / "labs" / name
    path = soldir / "lab.toml"
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ManifestError(f"{path}: {error}") from error
    except RecursionError as error:
        raise ManifestError(f"{path}: its values are nested too deeply") from error
    return parse_lab(table, labdir=labdir, soldir=soldir, sources=read_sources(labdir))


def parse_lab(table: object, *, labdir: Path, soldir: Path, sources: Sources) -> Lab:
    """Makes a lab of a manifest; ManifestError if it is invalid or contradicts itself."""
    path = soldir / "lab.toml"
    try:
        manifest = msgspec.convert(table, Manifest)
    except msgspec.ValidationError as error:
        raise ManifestError(f"{path}: {_with_names(str(error), table)}") from error
    lab = Lab(
        name=labdir.name,
        title=manifest.title,
        labdir=labdir,
        soldir=soldir,
        sources=sources,
        limits=manifest.limits,
        groups={name: group.title for name, group in manifest.groups.items()},
        tests=manifest.test,
        warnings=manifest.warnings,
        memcheck=manifest.memcheck,
        accepted=manifest.accepted,
        sample=manifest.sample,
    )
    for problem in _contradictions(lab):
        raise ManifestError(f"{path}: {problem}")
    return lab


def _with_names(message: str, table: object) -> str:
    """A message of msgspec, with the key first and an entry of [[test]] by its name.

    "Expected `int` - at `$.test[3].points`" becomes "test[its_name].points: expected int".
    """
    what, _, where = message.partition(" - at `$")
    key = where.rstrip("`").lstrip(".").replace("[...]", "[key]")
    match = TEST_ENTRY.match(key)
    if match and isinstance(table, dict):
        entry = table["test"][int(match[1])]
        if isinstance(entry, dict) and "name" in entry:
            key = key.replace(match[0], f"test[{entry['name']}]", 1)
    what = what[:1].lower() + what[1:].replace("`", "")
    return f"{key}: {what}" if key else what


def _contradictions(lab: Lab) -> list[str]:
    """The contradictions in a manifest whose keys and types are valid."""
    names = [t.name for t in lab.tests]
    problems = [
        f"test[{t.name}].group: there is no group {t.group!r}"
        for t in lab.tests
        if t.group not in lab.groups
    ]
    problems += [
        f"test[{n}]: there are two entries of this name" for n in names if names.count(n) > 1
    ]
    problems += [
        f"test[{n}].name: this name is reserved" for n in names if n in (WARNINGS, MEMCHECK)
    ]
    problems += [
        f"memcheck.tests: there is no test {name!r}"
        for name in (lab.memcheck.tests if lab.memcheck else ())
        if name not in names
    ]
    problems += [
        f"memcheck.tests: names {name!r} twice"
        for name, count in Counter(lab.memcheck.tests if lab.memcheck else ()).items()
        if count > 1
    ]
    problems += [
        f"accepted.{name}.covers: there is no group {group!r}"
        for name, accepted in lab.accepted.items()
        for group in accepted.covers or ()
        if group not in lab.groups
    ]
    if abs(lab.points - 100) > 1e-9:
        problems.append(f"points: the sum is {lab.points:g}, not 100")
    return problems
