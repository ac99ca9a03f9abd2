"""Every command in a handout works in the directory where a student would type it."""

import re
import subprocess
from pathlib import Path

import pytest
from student_folder import ROOT, copy_labs, solve

from labkit.lab.manifest import lab_names

HANDOUTS = sorted((ROOT / "handouts").glob("*.md"))
SHELL_BLOCK = re.compile(r"^( *)```sh\n(.*?)^\1```$", flags=re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#]+)")
BLOCK_SECONDS = 300


def shell_blocks(document: Path) -> list[str]:
    """The blocks marked `sh`, in order."""
    return [block for _, block in SHELL_BLOCK.findall(document.read_text(encoding="utf-8"))]


@pytest.mark.parametrize("handout", HANDOUTS, ids=lambda path: path.stem)
def test_every_command_of_a_handout_works(handout: Path, tmp_path: Path) -> None:
    """The blocks run from top to bottom, in a lab's directory with a solution."""
    folder = tmp_path
    labs = copy_labs(tmp_path / "labs")
    if handout.stem in lab_names(ROOT):
        folder = solve(labs, handout.stem)
    for block in shell_blocks(handout):
        result = subprocess.run(
            ["bash", "-euc", block],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=BLOCK_SECONDS,
        )
        assert result.returncode == 0, f"{block}\n{result.stdout}\n{result.stderr}"


@pytest.mark.parametrize("handout", HANDOUTS, ids=lambda path: path.stem)
def test_every_link_has_a_target(handout: Path) -> None:
    """Every file to which a document links exists."""
    for target in LINK.findall(handout.read_text(encoding="utf-8")):
        assert (handout.parent / target.strip()).exists(), target
