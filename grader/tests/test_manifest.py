"""lab.toml is read, and every error in it is reported with file and key."""

from pathlib import Path

import pytest
from example import Change, parsed

from labkit.errors import ManifestError, UsageError
from labkit.lab.manifest import lab_names, load_lab
from labkit.lab.sources import Program, Sources, read_sources
from labkit.limits import Limits

ROOT = Path(__file__).parents[2]


def test_a_manifest_is_read() -> None:
    """Points, groups and limits are read; a default level of detail is decided later."""
    lab = parsed()
    assert [(t.name, t.points, t.detail) for t in lab.tests] == [
        ("doubles", 30, None),
        ("keeps_the_sign", 40, None),
    ]
    assert lab.graded == ("doubles", "keeps_the_sign", "warnings", "memcheck")
    assert lab.points == 100
    assert lab.limits == Limits(cpu_s=3)
    assert lab.root == Path("/r")


def test_the_makefile_names_the_files(tmp_path: Path) -> None:
    """A source in two lists is handed in once; given sources and programs are not handed in."""
    (tmp_path / "Makefile").write_text(
        "SUBMISSION := twice.c\nGIVEN := map.c\nPROGRAMS := main probe\nGIVEN_PROGRAMS := probe\n"
        "main_SRC := main.c twice.c\nprobe_SRC := probe.c\nLAB := 08-twice\n"
        f"include {ROOT}/labs/lab.mk\n",
        encoding="utf-8",
    )
    sources = read_sources(tmp_path)
    assert sources == Sources(
        submission=("twice.c",),
        given=("map.c",),
        programs=(
            Program("main", ("main.c", "twice.c")),
            Program("probe", ("probe.c",), given=True),
        ),
    )
    assert sources.handed_in == ("twice.c", "main.c")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("SUBMISSION :=", "names no file to hand in"),
        ("SUBMISSION := ../x.c", "'../x.c' is not a valid file name"),
        ("SUBMISSION := -x.c", "'-x.c' is not a valid file name"),
    ],
)
def test_a_makefile_without_valid_file_names(tmp_path: Path, line: str, message: str) -> None:
    """The message names the Makefile."""
    text = f"LAB := 08-twice\n{line}\ninclude {ROOT}/labs/lab.mk\n"
    (tmp_path / "Makefile").write_text(text, encoding="utf-8")
    with pytest.raises(ManifestError, match="Makefile: ") as caught:
        read_sources(tmp_path)
    assert message in str(caught.value)


def test_the_environment_names_no_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a CI system calls its variables."""
    text = f"LAB := 08-twice\nSUBMISSION := twice.c\ninclude {ROOT}/labs/lab.mk\n"
    (tmp_path / "Makefile").write_text(text, encoding="utf-8")
    for name in ("SUBMISSION", "GIVEN", "PROGRAMS", "GIVEN_PROGRAMS"):
        monkeypatch.setenv(name, "other.c")
    assert read_sources(tmp_path) == Sources(submission=("twice.c",))


def put(key: str, value: object) -> Change:
    """Sets a top-level key."""
    return lambda table: table.update({key: value})


def put_test(key: str, value: object) -> Change:
    """Sets a key of the second test."""
    return lambda table: table["test"][1].update({key: value})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (put("titel", "x"), "object contains unknown field titel"),
        (put("title", 3), "title: expected str, got int"),
        (put("title", "two\nlines"), "title: expected str matching regex"),
        (put("limits", {"cpu_s": "3"}), "limits.cpu_s: expected int, got str"),
        (put("limits", {"cpu_s": True}), "limits.cpu_s: expected int, got bool"),
        (put("limits", {"cpu_s": 0}), "limits.cpu_s: expected int >= 1"),
        (put("limits", {"cpus": 1}), "limits: object contains unknown field cpus"),
        (put("limits", {"memory_bytes": 1 << 28}), "limits.memory_bytes: expected int >="),
        (put("groups", {}), "test[doubles].group: there is no group 'all'"),
        (put("memcheck", {"points": 20, "tests": ["no"]}), "memcheck.tests: there is no test 'no'"),
        (put("memcheck", {"points": 20, "tests": []}), "memcheck.tests: expected array of length"),
        (
            put("memcheck", {"points": 20, "tests": ["doubles", "doubles"]}),
            "memcheck.tests: names 'doubles' twice",
        ),
        (put("warnings", {"points": -1}), "warnings.points: expected float > 0"),
        (put("warnings", {"points": 11}), "points: the sum is 101, not 100"),
        (put("accepted", {"x": {"covers": ["no"]}}), "accepted.x.covers: there is no group"),
        (put_test("name", "doubles"), "test[doubles]: there are two entries of this name"),
        (put_test("name", "warnings"), "test[warnings].name: this name is reserved"),
        (put_test("name", "x\n"), "name: expected str matching regex"),
        (put_test("name", "No"), "test[No].name: expected str matching regex"),
        (put_test("detail", "all"), "test[keeps_the_sign].detail: invalid enum value 'all'"),
        (put_test("points", "40"), "test[keeps_the_sign].points: expected float, got str"),
        (put_test("rule", "x"), "test[keeps_the_sign]: object contains unknown field rule"),
    ],
)
def test_a_mistake_is_reported_with_file_and_key(change: Change, message: str) -> None:
    """The message begins with the path of lab.toml and contains the key."""
    with pytest.raises(ManifestError) as caught:
        parsed(change)
    assert str(caught.value).startswith("/r/solutions/08-twice/lab.toml: ")
    assert message in str(caught.value)


@pytest.mark.parametrize("name", ["", "nope", "../01-buddy", "01 buddy", "01-buddy/"])
def test_an_unknown_lab_names_those_that_exist(name: str, new_lab_root: Path) -> None:
    """The message lists the labs, in case of a typing mistake."""
    assert lab_names(new_lab_root) == ("08-twice",)
    with pytest.raises(UsageError, match="08-twice"):
        load_lab(new_lab_root, name)


def test_broken_toml_is_reported_with_its_line(tmp_path: Path) -> None:
    """The message of the parser follows the path."""
    (tmp_path / "solutions/09-x").mkdir(parents=True)
    (tmp_path / "solutions/09-x/lab.toml").write_text('title = "x\n', encoding="utf-8")
    with pytest.raises(ManifestError, match=r"lab\.toml: .*line 1"):
        load_lab(tmp_path, "09-x")
