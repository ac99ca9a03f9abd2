"""The top Makefile and the README: targets, commands and files exist; bad input is reported."""

import re
import subprocess
from pathlib import Path
from typing import Final

import pytest

from labkit.cli.main import cli
from labkit.tools import TOOLS

ROOT: Final = Path(__file__).parents[2]
README: Final = (ROOT / "README.md").read_text(encoding="utf-8")
DPKG: Final = '#!/bin/sh\n/usr/bin/dpkg-query "$@" | grep -v "^installed unifdef$"\n'


def make(*arguments: str, path: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Runs make at the top, with a directory before the usual PATH."""
    env = {"PATH": f"{path}:/usr/bin:/bin" if path else "/usr/bin:/bin", "HOME": "/root"}
    return subprocess.run(
        ["make", *arguments], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\bmake ([a-z]+)", README))))
def test_the_readme_names_targets_that_exist(target: str) -> None:
    """They exist at the top or in a lab's directory."""
    folders = [".", "labs/01-buddy"]
    known = [make("-n", "-C", f, target, "TEST=x", "LAB=01-buddy").returncode for f in folders]
    assert 0 in known


def test_the_readme_names_commands_and_files_that_exist() -> None:
    """Every `labkit WORD` is a command, and every directory exists."""
    commands = set(re.findall(r"labkit ([a-z]+)\b", README.replace("labkit in", "")))
    assert commands - set(cli.commands) == set()
    for name in re.findall(r"`([a-z]+/[a-z/.]*)`", README):
        assert any((base / name).exists() for base in (ROOT, ROOT / "grader/labkit")), name


def test_an_unknown_lab_names_those_that_exist() -> None:
    """An empty name is unknown, too."""
    for lab in ("no-such-lab", ""):
        done = make("grade", f"LAB={lab}")
        assert done.returncode != 0
        assert "01-buddy" in done.stderr


def test_a_path_with_spaces_reaches_the_grader_as_one_argument(tmp_path: Path) -> None:
    """The message contains the complete path."""
    done = make("grade", f"SUB={tmp_path}/two  words; 'quoted'")
    assert done.returncode != 0
    assert "two  words; 'quoted'" in done.stderr


def test_every_tool_is_installed() -> None:
    """The Makefile lists every package of tools.py that is not essential in Debian."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    packages = " ".join(re.findall(r"^PACKAGES [:+]= (.*)$", text, flags=re.MULTILINE)).split()
    essential = {"coreutils", "findutils"}
    assert {tool.package for tool in TOOLS} - essential <= set(packages)


def test_only_what_is_missing_is_installed(tmp_path: Path) -> None:
    """If nothing is missing, apt-get does not run."""
    apt = tmp_path / "apt-get"
    apt.write_text('#!/bin/sh\necho "apt-get $*"\n', encoding="utf-8")
    apt.chmod(0o755)
    done = make("packages", "SUDO=", path=tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    (tmp_path / "dpkg-query").write_text(DPKG, encoding="utf-8")
    (tmp_path / "dpkg-query").chmod(0o755)
    done = make("packages", "SUDO=", path=tmp_path)
    assert done.stdout.splitlines() == [
        "installing unifdef",
        "apt-get update -qq",
        "apt-get install -qq --no-install-recommends unifdef",
    ]
