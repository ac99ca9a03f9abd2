"""A lab made by `labkit new` can be graded and verified from the start."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from labkit.errors import UsageError
from labkit.lab.manifest import Lab, load_lab
from labkit.lab.new import new_lab
from labkit.proof.verify import Options, exit_status, verify

REPOSITORY = Path(__file__).parents[2]


def make_lab(empty_root: Path) -> Lab:
    """Makes a new lab and loads it."""
    new_lab(empty_root, "08-mail-box")
    return load_lab(empty_root, "08-mail-box")


def test_a_new_lab_passes_all_checks_but_the_counts(empty_root: Path) -> None:
    """Only the numbers of broken versions and accepted solutions are too small."""
    outcomes = list(verify(make_lab(empty_root), Options()))
    wrong = {o.name: o.problems for o in outcomes if o.verdict != "ok"}
    assert wrong == {
        "broken/there_are_enough": (
            "3 broken versions, at least 12 are needed",
            "0 accepted solutions, at least 3 are needed",
        )
    }
    assert exit_status(outcomes) == 1


def test_a_new_lab_has_all_its_files(empty_root: Path) -> None:
    """It has files for students and instructors and a handout; its name becomes a C name."""
    lab = make_lab(empty_root)
    assert lab.files == ("mail_box.c",)
    assert "TODO(08-mail-box)" in (lab.labdir / "mail_box.c").read_text()
    assert "int mail_box_twice(int number);" in (lab.labdir / "mail_box.h").read_text()
    assert "| **Total** | **100** |" in (empty_root / "handouts/08-mail-box.md").read_text()


@pytest.mark.parametrize("name", ["mailbox", "8-mailbox", "08-Mailbox", "08-", "08--x", "../08-x"])
def test_an_invalid_name_is_refused(empty_root: Path, name: str) -> None:
    """The message shows an example of a name, and nothing is written."""
    with pytest.raises(UsageError, match="08-mailbox"):
        new_lab(empty_root, name)
    assert sorted(p.name for p in empty_root.iterdir()) == ["labs"]


def test_an_existing_lab_is_not_overwritten(empty_root: Path) -> None:
    """No existing file is overwritten."""
    lab = make_lab(empty_root)
    before = (lab.soldir / "mail_box.c").read_text()
    with pytest.raises(UsageError, match="already exists"):
        new_lab(empty_root, "08-mail-box")
    assert (lab.soldir / "mail_box.c").read_text() == before
    shutil.rmtree(lab.soldir)
    shutil.rmtree(lab.labdir)
    with pytest.raises(UsageError, match="handouts/08-mail-box"):
        new_lab(empty_root, "08-mail-box")
    assert not lab.labdir.exists()


def commands(text: str) -> list[str]:
    """The lines of every block of shell commands."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", text, flags=re.MULTILINE | re.DOTALL)
    return [line for block in blocks for line in block.splitlines()]


def test_the_commands_of_the_checklist_work(empty_root: Path) -> None:
    """Every command of CONTRIBUTING.md runs, in order, in a repository without labs."""
    expected = {
        ".venv/bin/labkit new 08-mailbox": 0,
        ".venv/bin/labkit verify 08-mailbox": 1,  # versions are missing
        "make -C labs/08-mailbox test": 2,  # the skeleton is no solution
        ".venv/bin/labkit skeleton 08-mailbox": 0,
        ".venv/bin/pytest solutions/08-mailbox/lab.toml -k twice -x": 0,
        ".venv/bin/pytest solutions/08-mailbox/lab.toml --submission labs/08-mailbox": 1,
        ".venv/bin/pytest solutions/08-mailbox/lab.toml --verify -k broken": 1,
    }
    assert commands((REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")) == list(expected)
    (empty_root / ".venv").symlink_to(Path(sys.executable).parents[1])
    environment = os.environ | {"LABKIT_ROOT": str(empty_root)}
    for command, status in expected.items():
        run = subprocess.run(
            command.split(), cwd=empty_root, env=environment, capture_output=True, text=True,
            check=False,
        )  # fmt: skip
        assert run.returncode == status, run.stdout + run.stderr


def test_the_checklist_names_files_that_exist(empty_root: Path) -> None:
    """`labkit new` writes every file of the table, except the optional one."""
    new_lab(empty_root, "08-mailbox")
    text = (REPOSITORY / "CONTRIBUTING.md").read_text(encoding="utf-8")
    named = re.findall(r"^\| `([^`*]+[a-z])` \|", text, flags=re.MULTILINE)
    missing = [path for path in named if not (empty_root / path).exists()]
    assert missing == ["labs/08-mailbox/test_support.h"]
