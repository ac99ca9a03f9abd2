"""A lab as data: reads and checks solutions/NN/lab.toml.

lab.toml is the only place for points, limits, deliverables and the sentence
that each test shows.  Everything wrong in it is reported with file and key.
"""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Final, Literal, TypeVar, get_args

from labkit.errors import ManifestError, UsageError

Detail = Literal["open", "named", "secret"]
DETAILS: Final[tuple[str, ...]] = get_args(Detail)

TEST_NAME: Final = re.compile(r"[a-z_][a-z0-9_]*")
FILE_NAME: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*")
LAB_NAME: Final = re.compile(r"[0-9]{2}-[a-z0-9-]+")

WARNINGS: Final = "warnings"
MEMCHECK: Final = "memcheck"
WARNINGS_RULE: Final = "The code compiles without a warning (gcc -Wall -Wextra)."
MEMCHECK_RULE: Final = "Valgrind finds no invalid access, no undefined value and no leak."
SECRET_RULE: Final = "A further test of this group."
EXTRA_TITLE: Final = "Code and memory"  # the heading of warnings and memcheck

MEMORY_BYTES_MIN: Final = 384 << 20  # address space; the arena alone is 256 MiB (wire.h)

T = TypeVar("T")


@dataclass(frozen=True)
class Limits:
    """What one box may use; see setrlimit(2)."""

    cpu_s: int = 10
    deadline_s: int = 60
    memory_bytes: int = 1 << 30
    file_bytes: int = 64 << 20
    processes: int = 64
    open_files: int = 1024
    output_bytes: int = 64 << 10
    tmpfs_bytes: int = 64 << 20


@dataclass(frozen=True)
class Program:
    """An executable that tests start in the box."""

    name: str
    sources: tuple[str, ...]
    kit: bool = False  # from labs/NN and trusted; otherwise from the deliverables


@dataclass(frozen=True)
class Group:
    """A heading of the rubric."""

    name: str
    title: str


@dataclass(frozen=True)
class Test:
    """One graded test: a C function of test_public.c or test_hidden.c."""

    __test__ = False  # for pytest: not a class of tests

    name: str
    group: str
    points: float
    rule: str
    detail: Detail
    public: bool


@dataclass(frozen=True)
class Memcheck:
    """The Valgrind pass: points, and the tests that are run under it."""

    points: float
    tests: tuple[str, ...]
    rule: str = MEMCHECK_RULE


@dataclass(frozen=True)
class Warnings:
    """Points for code that compiles without a warning."""

    points: float
    rule: str = WARNINGS_RULE


@dataclass(frozen=True)
class Accepted:
    """A second correct solution; `covers` names groups, None is all of them."""

    name: str
    covers: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Lab:
    """Everything the grader knows about a lab."""

    name: str
    title: str
    labdir: Path
    soldir: Path
    deliverables: tuple[str, ...]
    programs: tuple[Program, ...]
    limits: Limits
    groups: tuple[Group, ...]
    tests: tuple[Test, ...]
    warnings: Warnings | None = None
    memcheck: Memcheck | None = None
    accepted: Mapping[str, Accepted] = field(default_factory=dict)

    @property
    def root(self) -> Path:
        """The repository that the lab lies in."""
        return self.labdir.parent.parent

    @property
    def files(self) -> tuple[str, ...]:
        """Every file a student hands in, each once, in the manifest's order."""
        sources = [s for p in self.programs if not p.kit for s in p.sources]
        return tuple(dict.fromkeys([*self.deliverables, *sources]))

    @property
    def points(self) -> float:
        """The points of the whole lab."""
        return (
            sum(t.points for t in self.tests)
            + (self.warnings.points if self.warnings else 0)
            + (self.memcheck.points if self.memcheck else 0)
        )


def lab_names(root: Path) -> tuple[str, ...]:
    """The labs that can be graded, in order."""
    return tuple(sorted(p.parent.name for p in (root / "solutions").glob("*/lab.toml")))


def load_lab(root: Path, name: str) -> Lab:
    """Reads a lab; UsageError when there is none of that name."""
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
    public = test_functions(labdir / "test_public.c")
    hidden = test_functions(soldir / "test_hidden.c")
    return parse_lab(
        table, path=path, name=name, labdir=labdir, soldir=soldir, public=public, hidden=hidden
    )


def test_functions(path: Path) -> tuple[str, ...]:
    """The names that TEST(name) defines in a C file, in order; none without a file."""
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(f"{path}: {error}") from error
    return tuple(re.findall(r"^TEST\(\s*(\w+)\s*\)", text, flags=re.MULTILINE))


test_functions.__test__ = False  # type: ignore[attr-defined]


class _Table:
    """A TOML table that says where it stands when something in it is wrong."""

    def __init__(self, value: object, *, path: Path, key: str) -> None:
        self.path = path
        self.key = key
        if not isinstance(value, dict):
            raise ManifestError(f"{path}: {key or 'the file'} must be a table")
        self.values: dict[str, object] = value

    def where(self, key: str) -> str:
        return f"{self.path}: {self.key + '.' if self.key else ''}{key}"

    def only(self, *keys: str) -> None:
        for key in self.values:
            if key not in keys:
                raise ManifestError(f"{self.where(key)}: unknown key; known: {', '.join(keys)}")

    def has(self, key: str) -> bool:
        return key in self.values

    def get(self, key: str, kind: type[T], default: T | None = None) -> T:
        value = self.values.get(key, default)
        if value is None:
            raise ManifestError(f"{self.where(key)}: missing")
        if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
            raise ManifestError(f"{self.where(key)}: must be {_KINDS[kind]}, not {value!r}")
        return value

    def text(self, key: str, default: str | None = None) -> str:
        value = self.get(key, str, default)
        if not value.strip() or "\n" in value:
            raise ManifestError(f"{self.where(key)}: must be one line of text")
        return value

    def points(self) -> float:
        value = self.values.get("points")
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 100:
            raise ManifestError(f"{self.where('points')}: must be a number over 0, at most 100")
        return value

    def names(
        self, key: str, pattern: re.Pattern[str], *, may_be_empty: bool = False
    ) -> tuple[str, ...]:
        value = self.get(key, list)
        if not value and not may_be_empty:
            raise ManifestError(f"{self.where(key)}: must name at least one")
        for i, item in enumerate(value):
            if not isinstance(item, str) or not pattern.fullmatch(item):
                raise ManifestError(f"{self.where(key)}[{i}]: not a valid name: {item!r}")
        if len(set(value)) != len(value):
            raise ManifestError(f"{self.where(key)}: names something twice")
        return tuple(value)

    def table(self, key: str) -> "_Table":
        name = f"{self.key}.{key}" if self.key else key
        return _Table(self.values.get(key, {}), path=self.path, key=name)

    def tables(self, key: str) -> dict[str, "_Table"]:
        """The tables of a table: [groups.init] and its sisters."""
        inner = self.table(key)
        return {name: inner.table(name) for name in inner.values}


_KINDS: Final[Mapping[type, str]] = {
    str: "text",
    int: "a whole number",
    bool: "true or false",
    list: "a list",
}


def parse_lab(
    table: object,
    *,
    path: Path,
    name: str,
    labdir: Path,
    soldir: Path,
    public: tuple[str, ...],
    hidden: tuple[str, ...],
) -> Lab:
    """Checks a manifest against itself and against the tests that exist."""
    top = _Table(table, path=path, key="")
    top.only(
        "title", "deliverables", "programs", "limits", "groups", "warnings", "memcheck", "test",
        "accepted",
    )  # fmt: skip
    groups = tuple(_group(n, t) for n, t in top.tables("groups").items())
    tests = _tests(top, groups=groups, public=public, hidden=hidden)
    lab = Lab(
        name=name,
        title=top.text("title"),
        labdir=labdir,
        soldir=soldir,
        deliverables=top.names("deliverables", FILE_NAME, may_be_empty=top.has("programs")),
        programs=tuple(_program(n, t) for n, t in top.tables("programs").items()),
        limits=_limits(top.table("limits")),
        groups=groups,
        tests=tests,
        warnings=_warnings(top) if top.has("warnings") else None,
        memcheck=_memcheck(top, tests) if top.has("memcheck") else None,
        accepted={n: _accepted(n, t, groups) for n, t in top.tables("accepted").items()},
    )
    if abs(lab.points - 100) > 1e-9:
        raise ManifestError(f"{path}: points: the sum is {lab.points:g}, not 100")
    return lab


def _group(name: str, table: _Table) -> Group:
    table.only("title")
    return Group(name=name, title=table.text("title"))


def _program(name: str, table: _Table) -> Program:
    table.only("sources", "kit")
    if not FILE_NAME.fullmatch(name):
        raise ManifestError(f"{table.path}: programs: not a valid name: {name!r}")
    return Program(
        name=name, sources=table.names("sources", FILE_NAME), kit=table.get("kit", bool, False)
    )


def _limits(table: _Table) -> Limits:
    table.only(*(f.name for f in fields(Limits)))
    for key in table.values:
        if table.get(key, int) <= 0:
            raise ManifestError(f"{table.where(key)}: must be over 0")
    limits = Limits(**{key: table.get(key, int) for key in table.values})
    if limits.memory_bytes < MEMORY_BYTES_MIN:
        raise ManifestError(
            f"{table.where('memory_bytes')}: must be at least {MEMORY_BYTES_MIN}, "
            "for the test kit's arena and the C library lie in it too"
        )
    return limits


def _warnings(top: _Table) -> Warnings:
    table = top.table("warnings")
    table.only("points", "rule")
    return Warnings(points=table.points(), rule=table.text("rule", WARNINGS_RULE))


def _memcheck(top: _Table, tests: tuple[Test, ...]) -> Memcheck:
    table = top.table("memcheck")
    table.only("points", "tests", "rule")
    names = table.names("tests", TEST_NAME)
    for i, name in enumerate(names):
        if name not in {t.name for t in tests}:
            raise ManifestError(f"{table.where('tests')}[{i}]: there is no test {name!r}")
    return Memcheck(points=table.points(), tests=names, rule=table.text("rule", MEMCHECK_RULE))


def _accepted(name: str, table: _Table, groups: tuple[Group, ...]) -> Accepted:
    table.only("covers")
    covers = table.names("covers", TEST_NAME) if table.has("covers") else None
    for group in covers or ():
        if group not in {g.name for g in groups}:
            raise ManifestError(f"{table.where('covers')}: there is no group {group!r}")
    return Accepted(name=name, covers=covers)


def _tests(
    top: _Table, *, groups: tuple[Group, ...], public: tuple[str, ...], hidden: tuple[str, ...]
) -> tuple[Test, ...]:
    entries = top.get("test", list)
    tests: dict[str, Test] = {}
    for i, entry in enumerate(entries):
        table = _Table(entry, path=top.path, key=f"test[{i}]")
        test = _test(table, public=public, hidden=hidden)
        table.key = f"test[{test.name}]"
        if test.name in tests:
            raise ManifestError(f"{table.where('name')}: stands there twice")
        if test.name in (WARNINGS, MEMCHECK):
            raise ManifestError(f"{table.where('name')}: this name has a meaning of its own")
        if test.group not in {g.name for g in groups}:
            raise ManifestError(f"{table.where('group')}: there is no group {test.group!r}")
        tests[test.name] = test
    for name in (*public, *hidden):
        if name not in tests:
            raise ManifestError(f"{top.path}: test: the C test {name!r} has no entry")
    for name in public:
        if name in hidden:
            raise ManifestError(f"{top.path}: test[{name}]: is both public and hidden")
    return tuple(tests.values())


def _test(table: _Table, *, public: tuple[str, ...], hidden: tuple[str, ...]) -> Test:
    table.only("name", "group", "points", "rule", "detail")
    name = table.text("name")
    table.key = f"test[{name}]"
    if not TEST_NAME.fullmatch(name):
        raise ManifestError(f"{table.where('name')}: must be the name of a C function")
    if name not in public and name not in hidden:
        raise ManifestError(f"{table.where('name')}: no C test of this name")
    detail = table.text("detail", "open" if name in public else "named")
    if detail not in DETAILS:
        raise ManifestError(f"{table.where('detail')}: must be one of {', '.join(DETAILS)}")
    return Test(
        name=name,
        group=table.text("group"),
        points=table.points(),
        rule=table.text("rule"),
        detail=detail,  # type: ignore[arg-type]  # checked above
        public=name in public,
    )
