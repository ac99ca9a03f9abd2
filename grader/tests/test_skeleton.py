"""Skeleton, reference and broken versions are made from one source."""

from pathlib import Path

import pytest

from labkit.errors import ManifestError
from labkit.lab.manifest import Lab, Memcheck, Test
from labkit.lab.skeleton import skeleton_diff, write_reference, write_skeleton
from labkit.lab.sources import Sources
from labkit.limits import Limits
from labkit.proof.broken import BrokenVersionError, broken_paths, load_broken, write_broken

SOURCE = """\
int answer(void)
{
#ifdef SOLUTION
    return 42;
#else
    return 0; /* TODO(01-tiny): the answer */
#endif
}
"""
REFERENCE = "int answer(void)\n{\n    return 42;\n}\n"
SKELETON = "int answer(void)\n{\n    return 0; /* TODO(01-tiny): the answer */\n}\n"

PATCH = """\
What: off by one
Fails: answer_is_right
   memcheck
--- a/answer.c
+++ b/answer.c
@@ -2,5 +2,5 @@
 {
 #ifdef SOLUTION
-    return 42;
+    return 41;
 #else
     return 0; /* TODO(01-tiny): the answer */
"""


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    """A lab of one file, without its skeleton."""
    labdir = tmp_path / "labs/01-tiny"
    soldir = tmp_path / "solutions/01-tiny"
    labdir.mkdir(parents=True)
    (soldir / "broken").mkdir(parents=True)
    (soldir / "answer.c").write_text(SOURCE)
    return Lab(
        name="01-tiny",
        title="Tiny",
        labdir=labdir,
        soldir=soldir,
        sources=Sources(submission=("answer.c",)),
        limits=Limits(),
        groups={"all": "All"},
        tests=(Test(name="answer_is_right", group="all", points=90),),
        memcheck=Memcheck(points=10, tests=("answer_is_right",)),
    )


def add_broken_version(lab: Lab, text: str) -> Path:
    """Adds a broken version to the lab; returns its patch."""
    path = lab.soldir / "broken/off_by_one.patch"
    path.write_text(text)
    return path


def test_the_skeleton_is_the_source_without_the_solution(lab: Lab) -> None:
    """Writing it returns the changed files; a second time there are none."""
    assert write_skeleton(lab) == ("answer.c",)
    assert (lab.labdir / "answer.c").read_text() == SKELETON
    assert write_skeleton(lab) == ()
    assert skeleton_diff(lab) == ""


def test_a_skeleton_that_drifted_is_shown_as_a_diff(lab: Lab) -> None:
    """The diff names both files and the lines; a missing skeleton differs, too."""
    assert "+    return 0; /* TODO(01-tiny): the answer */\n" in skeleton_diff(lab)
    (lab.labdir / "answer.c").write_text(SKELETON.replace("return 0", "return 1"))
    diff = skeleton_diff(lab)
    assert "--- labs/01-tiny/answer.c\n+++ generated from solutions/01-tiny/answer.c\n" in diff
    assert "-    return 1;" in diff
    assert "+    return 0;" in diff


def test_the_reference_contains_no_condition(lab: Lab, tmp_path: Path) -> None:
    """It is written as a student would hand it in."""
    write_reference(lab, tmp_path / "out")
    assert (tmp_path / "out/answer.c").read_text() == REFERENCE


def test_conditions_that_do_not_match_are_an_error(lab: Lab) -> None:
    """The message names the file."""
    (lab.soldir / "answer.c").write_text("#ifdef SOLUTION\n")
    with pytest.raises(ManifestError, match=r"answer\.c"):
        skeleton_diff(lab)


def test_a_broken_version_is_the_reference_with_the_patch(lab: Lab, tmp_path: Path) -> None:
    """Head and patch are read from one file."""
    path = add_broken_version(lab, PATCH)
    assert broken_paths(lab) == (path,)
    version = load_broken(path, lab)
    assert version.name == "off_by_one"
    assert version.what == "off by one"
    assert version.fails == {"answer_is_right", "memcheck"}
    write_broken(version, lab, tmp_path / "out")
    assert [p.name for p in (tmp_path / "out").iterdir()] == ["answer.c"]
    assert (tmp_path / "out/answer.c").read_text() == REFERENCE.replace("42", "41")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("What:", "Why:", "needs one line 'What: ...'"),
        ("What: off by one", "What:", "needs one line 'What: ...'"),
        ("memcheck\n", "memcheck\nFails: answer_is_right\n", "needs one line 'Fails: ...'"),
        ("memcheck\n", "warnings\n", "there is no test warnings"),
        ("answer_is_right", "answer_is_wrong", "there is no test answer_is_wrong"),
    ],
)
def test_a_wrong_head_is_an_error(lab: Lab, old: str, new: str, message: str) -> None:
    """The message names the patch and the line."""
    path = add_broken_version(lab, PATCH.replace(old, new))
    with pytest.raises(BrokenVersionError, match=message) as caught:
        load_broken(path, lab)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (PATCH.replace("-    return 42;", "-    return 43;"), "does not apply"),
        (PATCH.replace(" {\n", " {  \n"), "does not apply"),
        (PATCH.replace("answer.c", "other.c"), "does not apply"),
        (PATCH + "--- /dev/null\n+++ b/Makefile\n@@ -0,0 +1 @@\n+all:\n", "touches Makefile"),
        (
            PATCH.partition("@@")[0]
            + "@@ -5,3 +5,3 @@\n #else\n-    return 0; /* TODO(01-tiny): the answer */"
            "\n+    return 1;\n #endif\n",
            "changes the skeleton only",
        ),
    ],
)
def test_a_patch_that_does_not_apply_is_an_error(
    lab: Lab, tmp_path: Path, text: str, message: str
) -> None:
    """The patch must apply without fuzz, touch no other file, and change the reference."""
    version = load_broken(add_broken_version(lab, text), lab)
    with pytest.raises(BrokenVersionError, match=message):
        write_broken(version, lab, tmp_path / "out")
