"""A lab made by `labkit new` can be graded and verified from its first minute."""

from pathlib import Path

import pytest

from labkit.errors import UsageError
from labkit.manifest import Lab, load_lab
from labkit.scaffold import new_lab
from labkit.verify import Options, exit_status, verify


def make_lab(empty_root: Path) -> Lab:
    """The new lab, loaded."""
    new_lab(empty_root, "08-mail-box")
    return load_lab(empty_root, "08-mail-box")


def test_a_new_lab_holds_but_for_what_is_still_to_be_written(empty_root: Path) -> None:
    """Verify is content with all but the counts, and says how many are missing."""
    outcomes = list(verify(make_lab(empty_root), Options()))
    wrong = {o.name: o.problems for o in outcomes if o.verdict != "ok"}
    assert wrong == {
        "broken/there_are_enough": (
            "3 broken versions, at least 12 are needed",
            "0 accepted solutions, at least 3 are needed",
        )
    }
    assert exit_status(outcomes) == 1


def test_the_files_of_a_new_lab_lie_where_they_belong(empty_root: Path) -> None:
    """Students' part, instructors' part and handout; names become C names."""
    lab = make_lab(empty_root)
    assert lab.files == ("mail_box.c",)
    assert "TODO(08-mail-box)" in (lab.labdir / "mail_box.c").read_text()
    assert "int mail_box_twice(int number);" in (lab.labdir / "mail_box.h").read_text()
    assert "| **Together** | **100** |" in (empty_root / "handouts/08-mail-box.md").read_text()


@pytest.mark.parametrize("name", ["mailbox", "8-mailbox", "08-Mailbox", "08-", "08--x", "../08-x"])
def test_a_name_that_is_none_is_refused(empty_root: Path, name: str) -> None:
    """The message shows what a name looks like, and nothing is written."""
    with pytest.raises(UsageError, match="08-mailbox"):
        new_lab(empty_root, name)
    assert sorted(p.name for p in empty_root.iterdir()) == ["labs"]


def test_a_lab_that_is_there_stays_as_it_is(empty_root: Path) -> None:
    """Nothing is ever written over."""
    lab = make_lab(empty_root)
    before = (lab.soldir / "mail_box.c").read_text()
    with pytest.raises(UsageError, match="there already"):
        new_lab(empty_root, "08-mail-box")
    assert (lab.soldir / "mail_box.c").read_text() == before
