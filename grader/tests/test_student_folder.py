"""A student's directory: every target of lab.mk, without Python and without solutions/."""

import os
import re
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from student_folder import ROOT, copy_labs, solve

from labkit.lab.manifest import lab_names, load_lab

LAB = "01-buddy"
DEADLINE_S = 120
AS_A_STUDENT = [] if os.getuid() else ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]


@pytest.fixture
def handed_out(tmp_path: Path) -> Path:
    """What a student receives: labs/, in a directory with a space in its name."""
    return copy_labs(tmp_path / "my course")


def make(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Runs make as a student would: with a minimal environment and no capabilities of root."""
    return subprocess.run(
        [*AS_A_STUDENT, "make", *arguments],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "HOME": str(folder), "LC_ALL": "C", "TERM": "dumb"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=DEADLINE_S * 3,
    )


@pytest.mark.parametrize("name", lab_names(ROOT))
def test_a_solution_passes_the_public_tests_and_memcheck(handed_out: Path, name: str) -> None:
    """`make test` and `make memcheck` end with 0 for the reference, without a warning."""
    folder = solve(handed_out, name)
    tested = make(folder, "test")
    assert tested.returncode == 0, tested.stdout + tested.stderr
    assert "warning:" not in tested.stderr
    checked = make(folder, "memcheck")
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("name", lab_names(ROOT))
def test_the_skeleton_compiles_cleanly_and_fails(handed_out: Path, name: str) -> None:
    """`make test` in the untouched skeleton compiles without a warning and shows failures."""
    result = make(handed_out / name, "test")
    assert result.returncode != 0
    assert "FAILED" in result.stderr
    assert "warning:" not in result.stderr
    assert "grader error" not in result.stderr


@pytest.mark.parametrize("name", lab_names(ROOT))
def test_make_submit_packs_exactly_the_graded_files(handed_out: Path, name: str) -> None:
    """The archive contains the files that the grader asks for, and nothing else."""
    result = make(handed_out / name, "submit")
    assert result.returncode == 0, result.stderr
    with tarfile.open(handed_out / name / "build" / f"{name}.tar.gz") as archive:
        assert sorted(archive.getnames()) == sorted(load_lab(ROOT, name).files)


def test_memcheck_fails_when_valgrind_complains(handed_out: Path) -> None:
    """A read of undefined memory makes `make memcheck` fail and shows the line."""
    folder = solve(handed_out, LAB)
    source = folder / "buddy.c"
    text = source.read_text()
    source.write_text(
        re.sub(
            r"^(size_t buddy_sizeof\([^)]*\)\n\{)",
            r"\1\n    volatile char lost[8];\n    if (lost[3] == 'x')\n        return 0;",
            text,
            flags=re.MULTILINE,
        )
    )
    assert source.read_text() != text
    result = make(folder, "memcheck")
    assert result.returncode != 0
    assert "buddy.c:" in result.stdout
    assert "uninitialised" in result.stdout


def test_debug_stops_in_the_students_function(handed_out: Path) -> None:
    """`make debug TEST=...` opens gdb at a function of the contract, in the student's file."""
    folder = solve(handed_out, LAB)
    result = make(folder, "debug", "TEST=the_lecture_picture_step_by_step")
    assert re.search(r"Breakpoint \d+.*buddy_\w+ \(.*buddy\.c:\d+", result.stdout, re.DOTALL)


def test_debug_without_a_test_lists_them(handed_out: Path) -> None:
    """`make debug` alone asks for a test and lists all tests."""
    result = make(solve(handed_out, LAB), "debug")
    assert result.returncode != 0
    assert "which test?" in result.stdout
    assert "the_lecture_picture_step_by_step" in result.stdout


@pytest.fixture
def watched(handed_out: Path, tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """Runs `make watch` in a terminal; yields the directory and the terminal's output."""
    folder = solve(handed_out, LAB)
    screen = tmp_path / "screen"
    screen.touch()
    terminal = subprocess.Popen(
        ["script", "-qfec", "make watch TEST=free_coalesces_two_buddies", screen],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env={"PATH": "/usr/bin:/bin", "TERM": "dumb", "LC_ALL": "C"},
    )
    yield folder, screen
    terminal.terminate()
    terminal.wait()


def runs_shown(screen: Path) -> int:
    """How many runs have ended on the terminal."""
    return screen.read_text(errors="replace").count("1 test(s) run.")


def test_watch_runs_the_tests_again_on_save(watched: tuple[Path, Path]) -> None:
    """Saving the file runs the tests once more.

    entr misses changes while the tests run, so the file is saved again until the second run
    has ended.
    """
    folder, screen = watched
    source = folder / "buddy.c"
    end = time.monotonic() + DEADLINE_S
    while runs_shown(screen) < 2:
        assert time.monotonic() < end, screen.read_text(errors="replace")
        if runs_shown(screen) == 1:
            source.write_text(source.read_text() + "\n")
        time.sleep(0.2)


def test_help_lists_the_targets(handed_out: Path) -> None:
    """`make` alone prints the help."""
    result = make(handed_out / LAB)
    for target in ("test", "debug", "memcheck", "watch", "submit", "clean"):
        assert f"make {target}" in result.stdout
