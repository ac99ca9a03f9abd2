"""Whatever reads untrusted bytes survives random ones, and every report of it is well-formed.

`make test` runs a few examples, the same each time; `make fuzz` runs many, others each time.
"""

import io
import re
import tarfile
import tempfile
import tomllib
import zipfile
from pathlib import Path
from typing import Any
from unittest.mock import patch
from xml.etree import ElementTree as ET

from example import GOOD
from hypothesis import assume, example, given
from hypothesis import strategies as st

from labkit.errors import ManifestError, SubmissionError
from labkit.grading import memcheck
from labkit.intake.archives import read_archive
from labkit.intake.entries import Entry
from labkit.intake.limited import limited
from labkit.intake.tar import tar_entries
from labkit.lab import manifest
from labkit.lab.sources import Sources
from labkit.report import junit, markdown, terminal
from labkit.result import (
    BuildInfo,
    ClassEntry,
    Diagnostic,
    Finding,
    Place,
    Result,
    Shown,
    SubmissionInfo,
    TestResult,
    from_json,
)

# ---- archives -----------------------------------------------------------------

PARTS = st.binary(min_size=1, max_size=60).map(lambda b: b.replace(b"/", b"_").replace(b"\0", b"_"))
PATHS = st.lists(PARTS, min_size=1, max_size=6).map(
    lambda parts: b"/".join(parts).decode("utf-8", "surrogateescape")
)
MEMBERS = st.lists(st.tuples(PATHS, st.binary(max_size=1500)), max_size=6)
FORMATS = st.sampled_from((tarfile.GNU_FORMAT, tarfile.PAX_FORMAT))


def packed_tar(members: list[tuple[str, bytes]], form: int) -> bytes:
    """A tar with these files."""
    buffer = io.BytesIO()
    with tarfile.open(
        fileobj=buffer, mode="w", format=form, encoding="utf-8", errors="surrogateescape"
    ) as archive:
        for path, content in members:
            info = tarfile.TarInfo(path)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


class Anything:
    """A container of every name."""

    def __contains__(self, name: object) -> bool:
        return True


@given(members=MEMBERS, form=FORMATS)
def test_a_tar_holds_what_was_packed(members: list[tuple[str, bytes]], form: int) -> None:
    """Names and contents of any bytes come out as they went in."""
    packed = io.BytesIO(packed_tar(members, form))
    found = list(tar_entries(packed, wanted=Anything(), at_most=2000))
    assert [(e.path, e.kind, e.data) for e in found] == [(p, "file", c) for p, c in members]


@given(members=MEMBERS)
def test_a_zip_holds_what_was_packed(members: list[tuple[str, bytes]]) -> None:
    """As above; a zip knows Unicode names only."""
    names = {p.encode("utf-8", "replace").decode(): c for p, c in members}
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for path, content in names.items():
            archive.writestr(path, content)
    found = read_archive(buffer, kind="zip", name="x", wanted=Anything(), at_most=2000)
    expected = {p.replace("\\", "/"): c for p, c in names.items()}
    assert {e.path: e.data for e in found} == expected | {p: b"" for p in expected if p[-1] == "/"}


NUMBERS = st.one_of(
    st.integers(0, 3000).map(lambda n: b"%011o\0" % n),
    st.integers(0, 1 << 95).map(lambda n: b"\x80" + n.to_bytes(12, "big")[1:]),
    st.binary(min_size=12, max_size=12),
)


@st.composite
def tar_blocks(draw: st.DrawFn) -> bytes:
    """A header of a tar with a valid checksum, and data that may fit it."""
    block = bytearray(draw(st.binary(max_size=100)).ljust(100, b"\0") + bytes(412))
    block[124:136] = draw(NUMBERS)
    block[156:157] = draw(st.sampled_from([*b"01234567\0LKxgXSDMVN"])).to_bytes(1, "big")
    block[257:265] = draw(st.sampled_from((b"ustar\x0000", b"ustar  \0", bytes(8))))
    block[345:355] = draw(st.binary(max_size=10)).ljust(10, b"\0")
    block[482] = draw(st.integers(0, 1))
    block[148:156] = b"%06o\0 " % (sum(block) - sum(block[148:156]) + 8 * 32)
    records = draw(
        st.lists(st.tuples(st.sampled_from((b"path", b"size", b"GNU.sparse.map")), PARTS))
    )
    data = b"".join(b"%d %s=%s\n" % (len(k) + len(v) + 5, k, v) for k, v in records)
    data = draw(st.sampled_from((data, b""))) or draw(st.binary(max_size=600))
    return bytes(block) + data + bytes(-len(data) % 512)


def read_or_refuse(packed: bytes, kind: str) -> list[Entry]:
    """The entries, or none if the archive is refused."""
    try:
        return read_archive(
            io.BytesIO(packed), kind=kind, name="x", wanted=Anything(), at_most=1000
        )
    except SubmissionError as error:
        assert str(error).isprintable()  # noqa: PT017
        return []


@given(st.lists(tar_blocks(), max_size=8).map(b"".join))
def test_tar_headers_with_any_values_are_read_or_refused(packed: bytes) -> None:
    """Sizes that lie, chains of headers, broken pax records and sparse maps."""
    for entry in read_or_refuse(packed, "tar"):
        assert len(entry.data) <= 1000


ARCHIVE_KINDS = st.sampled_from(("tar", "zip", "gz", "bz2", "xz"))
ZIP = io.BytesIO()
with zipfile.ZipFile(ZIP, "w", zipfile.ZIP_DEFLATED) as sample:
    sample.writestr("a/buddy.c", b"int x;\n" * 50)
    sample.writestr("b", b"")


@given(
    kind=ARCHIVE_KINDS,
    members=MEMBERS,
    form=FORMATS,
    changes=st.lists(st.tuples(st.integers(0, 5000), st.binary(min_size=1, max_size=12))),
    cut=st.integers(0, 300),
)
def test_a_changed_archive_is_read_or_refused(
    kind: str,
    members: list[tuple[str, bytes]],
    form: int,
    changes: list[tuple[int, bytes]],
    cut: int,
) -> None:
    """Any bytes are entries or a SubmissionError, never another exception."""
    damaged = bytearray(ZIP.getvalue() if kind == "zip" else packed_tar(members, form))
    for at, change in changes:
        at %= len(damaged)
        damaged[at : at + len(change)] = change
    read_or_refuse(bytes(damaged[: len(damaged) - cut]), kind)


# ---- lab.toml -------------------------------------------------------------------

TOML_VALUES = st.recursive(
    st.one_of(
        st.booleans(), st.integers(), st.floats(), st.text(max_size=20), st.dates(), st.times()
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=5,
)


def paths_in(value: object, above: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of each value in a table."""
    inner = dict(enumerate(value)) if isinstance(value, list) else value
    items = inner.items() if isinstance(inner, dict) else ()
    return [above, *(path for key, item in items for path in paths_in(item, (*above, key)))]


@given(at=st.sampled_from(paths_in(tomllib.loads(GOOD))[1:]), value=TOML_VALUES)
def test_a_manifest_with_any_value_is_read_or_refused(at: tuple[Any, ...], value: object) -> None:
    """A value of another type or size is a ManifestError that names the file."""
    table = tomllib.loads(GOOD)
    inner = table
    for key in at[:-1]:
        inner = inner[key]
    inner[at[-1]] = value
    where = {"labdir": Path("/r/labs/08-twice"), "soldir": Path("/r/solutions/08-twice")}
    try:
        lab = manifest.parse_lab(table, **where, sources=Sources(submission=("twice.c",)))
    except ManifestError as error:
        assert str(error).startswith("/r/solutions/08-twice/lab.toml: ")  # noqa: PT017
    else:
        assert abs(lab.points - 100) < 1e-6


@given(st.lists(st.tuples(st.integers(0, len(GOOD)), st.binary(max_size=8)), max_size=4))
@example([(0, b"x = " + b"[" * 5000)])
def test_a_manifest_of_any_bytes_is_read_or_refused(changes: list[tuple[int, bytes]]) -> None:
    """Text that is not TOML, or not text, or nested too deeply, is a ManifestError."""
    content = GOOD.encode()
    for at, change in changes:
        content = content[:at] + change + content[at:]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "solutions/08-twice/lab.toml")
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
        sources = Sources(submission=("twice.c",))
        with patch.object(manifest, "read_sources", lambda _: sources):
            try:
                manifest.load_lab(Path(folder), "08-twice")
            except ManifestError as error:
                assert str(error).startswith(f"{path}: ")  # noqa: PT017


# ---- the writers ----------------------------------------------------------------

NASTY = st.sampled_from((
    "\x1b[31m", "\x9b31m", "\u202e", "\u2028", "\u2029", "\ud800", "\0", "\r\n", "\n::error::x",
    "##[x]", "\n```\n", "````", "`", "<script>", "]]>", "&amp;", "| a |", "\ufffe", "\U000e0041",
    "\n# ",
))  # fmt: skip
TEXT = st.one_of(NASTY, NASTY.map(lambda text: f"x {text}{text} y"), st.text(max_size=10))
NAMES = st.from_regex(r"[a-z_][a-z0-9_]{0,15}", fullmatch=True)
POINTS = st.floats(0, 100)
PLACES = st.builds(Place, function=TEXT, file=TEXT, line=st.integers(0, 10**10))
TESTS = st.builds(
    TestResult,
    name=st.one_of(NAMES, st.sampled_from(("memcheck", "warnings"))),
    group=st.sampled_from(("", "a", "b")),
    points=POINTS,
    max_points=POINTS,
    shown=st.builds(Shown, name=NAMES, rule=TEXT, message=TEXT, output=TEXT, reproduce=TEXT),
    rule=TEXT,
    log=TEXT,
    seconds=POINTS,
)
RESULTS = st.builds(
    Result,
    lab=st.just("08-twice"),
    title=TEXT,
    score=st.one_of(st.none(), POINTS),
    max_score=POINTS,
    submission=st.builds(
        SubmissionInfo, name=TEXT, hash=NAMES, files=st.tuples(NAMES), notes=st.tuples(TEXT)
    ),
    build=st.builds(
        BuildInfo,
        ok=st.booleans(),
        output=TEXT,
        warnings=st.tuples(st.builds(Diagnostic, file=TEXT, line=st.integers(), message=TEXT)),
    ),
    tests=st.lists(TESTS, max_size=3).map(tuple),
    memcheck=st.lists(
        st.builds(Finding, message=TEXT, where=st.lists(PLACES, max_size=2).map(tuple)), max_size=2
    ).map(tuple),
    groups=st.just({"a": "First", "b": "Second"}),
    limits=st.just({"cpu_s": 10}),
    flags=st.just(("-O1",)),
    compiler=TEXT,
    sandbox=NAMES,
    kit=NAMES,
    image=st.none(),
    seed=st.integers(0, 9),
    seconds=POINTS,
)


CONTROLS = re.compile(
    "[\0-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff\U000e0000-\U000e007f]"
)
OBEYED = re.compile(r"^\s*::|##\[")  # by the runner of a CI system


@given(RESULTS)
def test_a_result_comes_back_from_its_json(result: Result) -> None:
    """Also after it was written to a file."""
    text = result.to_json()
    assert from_json(text) == result
    written = text.encode("utf-8", "backslashreplace").decode()
    assert from_json(written) == result


@given(RESULTS)
def test_junit_is_xml_whatever_the_result(result: Result) -> None:
    """Each test is a case, and the text holds no control character."""
    text = junit.junit(result)
    suite = ET.fromstring(text.encode("utf-8"))
    assert [c.get("name") for c in suite.findall("testcase")] == [
        t.shown.name for t in result.tests
    ]
    assert not CONTROLS.search(text)


@given(RESULTS)
def test_feedback_is_markdown_whatever_the_result(result: Result) -> None:
    """No control character, no HTML outside of code, and each block of code is closed."""
    text = markdown.feedback(result)
    assert not CONTROLS.search(text)
    fence = ""
    for line in text.split("\n"):
        if not fence and line.endswith("text") and line.startswith("```"):
            fence = line.removesuffix("text")
        elif fence and line.strip().startswith(fence):
            fence = ""
        elif not fence:
            assert not line.startswith("```"), text
            assert "<" not in re.sub(r"`[^`]*`|\\.", "", line), text
    assert not fence


@given(RESULTS)
def test_a_summary_controls_no_terminal(result: Result) -> None:
    """No control character, and no line of the student's that a CI system obeys."""
    text = terminal.summary(result, Path("/r"))
    assert not CONTROLS.search(text)
    for line in text.split("\n"):
        assert not OBEYED.search(line), text


@given(st.lists(st.builds(ClassEntry, name=TEXT, result=RESULTS, problem=TEXT), max_size=2))
def test_a_table_of_a_class_controls_no_terminal(rows: list[ClassEntry]) -> None:
    """No control character in any cell."""
    for column in terminal.class_table("class", rows).columns:
        for cell in column.cells:
            assert not CONTROLS.search(str(cell))
            assert not OBEYED.search(str(cell)), cell


# ---- Valgrind's log ---------------------------------------------------------------

LOG_PARTS = st.sampled_from((
    "==5== ", "**5** ", "==", "5", "0x1A", "\n", " ", "(", ")", ":", ",", "    at 0x1: f (x.c:3)\n",
    "==5==    by 0x1F: ",
    "(in /a/submission.so)", "submission loaded\n",
    "**5** submission at 1 to ", "**1** puppet 5 ended\n", "==5== ERROR SUMMARY: ", " bytes in ",
    " blocks are definitely lost",
    " in loss record ", "1", " of ", "9" * 5000, "\x85", "\ud800", "Handling new value ",
))  # fmt: skip
LOGS = st.lists(st.one_of(LOG_PARTS, st.text(max_size=5)), max_size=40).map("".join)


@given(LOGS)
@example(f"==5==    at 0x1: f (x.c:{'9' * 5000})\n")
def test_any_log_of_valgrind_is_parsed(log: str) -> None:
    """A log that student code wrote into raises no exception."""
    report = memcheck.parse(log, files=["x.c"])
    assert report.complete == (report.missing == "")


@given(st.lists(LOG_PARTS, min_size=1, max_size=3).map("".join), st.lists(LOG_PARTS, max_size=3))
def test_a_long_log_of_valgrind_is_parsed_in_linear_time(unit: str, end: list[str]) -> None:
    """A megabyte of one pattern takes a second at most; the limit ends what is not linear."""
    assume("9" not in unit)
    log = "==5== " + unit * ((1 << 20) // len(unit)) + "".join(end)

    def parse() -> bytes:
        memcheck.parse(log, files=["x.c"])
        return b"parsed"

    assert limited(parse, what="the log") == b"parsed"
