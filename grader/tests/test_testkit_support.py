"""support.h, the helpers for the tests of every lab, tested by kitlab/test_support.c."""

import subprocess
from pathlib import Path

import pytest
from kit_binary import KITLAB, names_of_tests, run_binary

SOURCE = KITLAB / "test_support.c"
TESTS = names_of_tests(SOURCE)

CATCHES = {
    "catches_a_failure_of_a_helper": "3 is odd; expected: an even number",
    "catches_a_helper_that_was_called_by_another_helper": "no line is known",
    "catches_a_call_that_succeeds": "returned 21; expected: -1 (EINVAL)",
    "catches_another_errno": "set_errno(ENOENT) returned -1 (ENOENT); expected: -1 (EINVAL)",
    "catches_a_pointer_that_should_be_null": "returned a pointer that is not NULL; expected: NULL",
    "catches_a_file_with_other_contents": 'the file "out" holds "one\\ntwo"; expected: "one"',
    "catches_a_program_with_another_status": 'exit status 0; standard error is "why\\n"',
    "catches_a_program_with_other_output": 'echo two: standard output is "two\\n"; expec',
    "catches_a_program_that_prints_nothing": "true: it wrote nothing to standard output",
}


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The kit's own lab, built with the tests of support.h."""
    into = tmp_path_factory.mktemp("support")
    subprocess.run(
        ["make", "-C", KITLAB, f"BUILD={into}", "HIDDEN=test_support.c", "build", "graded"],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return into


def line_of(name: str) -> int | None:
    """The line that a failure must name, marked by a comment."""
    for number, line in enumerate(SOURCE.read_text(encoding="utf-8").splitlines(), start=1):
        if f"LINE({name})" in line:
            return number
    return None


@pytest.mark.parametrize("name", [name for name in TESTS if name not in CATCHES])
def test_holds(build: Path, name: str) -> None:
    """Random numbers, text, names, files, programs and shrinking are as support.h says."""
    result = run_binary(build / "test_graded", name)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("name", list(CATCHES))
def test_catches(build: Path, name: str) -> None:
    """An assertion of support.h fails in the caller's line, naming expected and actual."""
    result = run_binary(build / "test_graded", name)
    assert result.returncode == 1, result.stdout + result.stderr
    assert CATCHES[name] in result.stderr
    line = line_of(name)
    assert line is None or f"test_support.c:{line}: error" in result.stderr


def test_every_catch_is_a_test() -> None:
    """Each expected message belongs to a test."""
    assert set(CATCHES) == {name for name in TESTS if name.startswith("catches_")}
