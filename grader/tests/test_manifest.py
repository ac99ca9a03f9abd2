"""lab.toml: what is read, and that every mistake is reported with file and key."""

from pathlib import Path

import pytest
from example import Change, parsed

from labkit.errors import ManifestError, UsageError
from labkit.lab.manifest import lab_names, load_lab
from labkit.limits import Limits


def test_a_manifest_is_read() -> None:
    """Tests know whether they are public, and that decides what they show."""
    lab = parsed()
    assert [(t.name, t.public, t.detail) for t in lab.tests] == [
        ("doubles", True, "open"),
        ("keeps_the_sign", False, "named"),
    ]
    assert lab.points == 100
    assert lab.limits == Limits(cpu_s=3)
    assert lab.root == Path("/r")


def test_files_are_deliverables_and_the_sources_of_programs_once() -> None:
    """A source of two things is handed in once; kit programs are not handed in."""
    lab = parsed(
        lambda t: t.update(
            programs={
                "main": {"sources": ["main.c", "twice.c"]},
                "probe": {"sources": ["probe.c"], "kit": True},
            }
        )
    )
    assert lab.files == ("twice.c", "main.c")


def put(key: str, value: object) -> Change:
    """Sets a top-level key."""
    return lambda table: table.update({key: value})


def put_test(key: str, value: object) -> Change:
    """Sets a key of the second test."""
    return lambda table: table["test"][1].update({key: value})


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (put("titel", "x"), "titel: unknown key"),
        (put("title", 3), "title: must be text"),
        (put("title", "two\nlines"), "title: must be one line"),
        (put("deliverables", []), "deliverables: must name at least one"),
        (put("deliverables", ["../x.c"]), "deliverables[0]: not a valid name"),
        (put("deliverables", ["-x.c"]), "deliverables[0]: not a valid name"),
        (put("limits", {"cpu_s": "3"}), "limits.cpu_s: must be a whole number"),
        (put("limits", {"cpu_s": True}), "limits.cpu_s: must be a whole number"),
        (put("limits", {"cpu_s": 0}), "limits.cpu_s: must be over 0"),
        (put("limits", {"cpus": 1}), "limits.cpus: unknown key"),
        (put("limits", {"memory_bytes": 1 << 28}), "limits.memory_bytes: must be at least"),
        (put("groups", {}), "test[doubles].group: there is no group 'all'"),
        (put("memcheck", {"points": 20, "tests": ["no"]}), "memcheck.tests[0]: there is no test"),
        (put("warnings", {"points": -1}), "warnings.points: must be a number"),
        (put("warnings", {"points": 11}), "points: the sum is 101, not 100"),
        (put("accepted", {"x": {"covers": ["no"]}}), "accepted.x.covers: there is no group"),
        (put("test", []), "test: the C test 'doubles' has no entry"),
        (put_test("name", "doubles"), "test[doubles].name: stands there twice"),
        (put_test("name", "unknown"), "test[unknown].name: no C test of this name"),
        (put_test("detail", "all"), "test[keeps_the_sign].detail: must be one of"),
        (put_test("points", "40"), "test[keeps_the_sign].points: must be a number"),
        (put_test("rule", ""), "test[keeps_the_sign].rule: must be one line"),
    ],
)
def test_a_mistake_is_reported_with_file_and_key(change: Change, says: str) -> None:
    """Whoever writes a lab is told where to look."""
    with pytest.raises(ManifestError) as caught:
        parsed(change)
    assert str(caught.value).startswith("solutions/08-twice/lab.toml: ")
    assert says in str(caught.value)


@pytest.mark.parametrize("name", ["", "nope", "../01-buddy", "01 buddy", "01-buddy/"])
def test_an_unknown_lab_names_those_that_exist(name: str, new_lab_root: Path) -> None:
    """A typing mistake shows what could have been meant."""
    assert lab_names(new_lab_root) == ("08-twice",)
    with pytest.raises(UsageError, match="08-twice"):
        load_lab(new_lab_root, name)


def test_broken_toml_is_reported_with_its_line(tmp_path: Path) -> None:
    """The parser's own words, after the file's name."""
    (tmp_path / "solutions/09-x").mkdir(parents=True)
    (tmp_path / "solutions/09-x/lab.toml").write_text('title = "x\n', encoding="utf-8")
    with pytest.raises(ManifestError, match=r"lab\.toml: .*line 1"):
        load_lab(tmp_path, "09-x")
