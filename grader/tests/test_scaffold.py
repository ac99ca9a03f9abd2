"""A lab made by `labkit new` can be graded and verified from its first minute."""

from pathlib import Path

import pytest

from labkit.errors import UsageError
from labkit.manifest import Lab, load_lab
from labkit.scaffold import new_lab
from labkit.verify import Options, exit_status, verify

REPOSITORY = Path(__file__).parents[2]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository without labs, which shares the test kit."""
    (tmp_path / "labs").mkdir()
    for name in ("lab.mk", "testkit"):
        (tmp_path / "labs" / name).symlink_to(REPOSITORY / "labs" / name)
    return tmp_path


def make_lab(root: Path) -> Lab:
    """The new lab, loaded."""
    new_lab(root, "08-mail-box")
    return load_lab(root, "08-mail-box")


def test_a_new_lab_holds_but_for_what_is_still_to_be_written(root: Path) -> None:
    """Verify is content with all but the counts, and says how many are missing."""
    outcomes = list(verify(make_lab(root), Options()))
    wrong = {o.name: o.problems for o in outcomes if o.verdict != "ok"}
    assert wrong == {
        "broken/there_are_enough": (
            "3 broken versions, at least 12 are needed",
            "0 accepted solutions, at least 3 are needed",
        )
    }
    assert exit_status(outcomes) == 1


def test_the_files_of_a_new_lab_lie_where_they_belong(root: Path) -> None:
    """Students' part, instructors' part and handout; names become C names."""
    lab = make_lab(root)
    assert lab.files == ("mail_box.c",)
    assert "TODO(08-mail-box)" in (lab.labdir / "mail_box.c").read_text()
    assert "int mail_box_twice(int number);" in (lab.labdir / "mail_box.h").read_text()
    assert "| **Together** | **100** |" in (root / "handouts/08-mail-box.md").read_text()


@pytest.mark.parametrize("name", ["mailbox", "8-mailbox", "08-Mailbox", "08-", "08--x", "../08-x"])
def test_a_name_that_is_none_is_refused(root: Path, name: str) -> None:
    """The message shows what a name looks like, and nothing is written."""
    with pytest.raises(UsageError, match="08-mailbox"):
        new_lab(root, name)
    assert sorted(p.name for p in root.iterdir()) == ["labs"]


def test_a_lab_that_is_there_stays_as_it_is(root: Path) -> None:
    """Nothing is ever written over."""
    lab = make_lab(root)
    before = (lab.soldir / "mail_box.c").read_text()
    with pytest.raises(UsageError, match="there already"):
        new_lab(root, "08-mail-box")
    assert (lab.soldir / "mail_box.c").read_text() == before
