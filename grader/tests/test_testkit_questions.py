"""What a submission asks the test (faults, callbacks), traps, and hostile submissions.

The tests are in kitlab/test_faults.c and the files beside it.
"""

import re
import subprocess
from pathlib import Path
from typing import Final

import pytest
from kit_binary import KITLAB, names_of_tests, run_binary

SOURCES: Final = ("test_faults.c",)
TESTS: Final = [name for source in SOURCES for name in names_of_tests(KITLAB / source)]

CATCHES: Final = {
    "catches_a_call_that_is_never_made": (
        "no call of pipe() or malloc() was seen in add(1, 2, 3, 4, 5, 6); call the function of libc"
    ),
}
HANGS: Final[set[str]] = set()


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The kit's own lab, built with these tests."""
    into = tmp_path_factory.mktemp("questions")
    hidden = f"HIDDEN={' '.join(SOURCES)}"
    subprocess.run(
        ["make", "-C", KITLAB, f"BUILD={into}", hidden, "build", "graded"],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return into


@pytest.mark.parametrize("name", [name for name in TESTS if name not in CATCHES])
def test_holds(build: Path, name: str) -> None:
    """Faults, callbacks and traps work as testkit.h says."""
    result = run_binary(build / "test_graded", name)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("name", list(CATCHES))
def test_catches(build: Path, name: str) -> None:
    """Misbehaviour fails the test, with a message; a hang has its own exit status."""
    result = run_binary(build / "test_graded", name)
    assert result.returncode == (4 if name in HANGS else 1), result.stdout + result.stderr
    assert CATCHES[name] in result.stderr


def test_every_catch_is_a_test() -> None:
    """Each expected message belongs to a test."""
    assert set(CATCHES) == {name for name in TESTS if name.startswith("catches_")}


# ---- under Memcheck ---------------------------------------------------------


def memcheck(build: Path, name: str) -> str:
    """Runs a test, which passes, under Memcheck; returns the lines of its report."""
    log = build / f"{name}.log"
    flags = subprocess.run(
        ["make", "-s", "-C", KITLAB, f"BUILD={build}", "print-memcheck-flags"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    wrap = " ".join(["valgrind", "-q", *flags, f"--log-file={log}"])
    result = run_binary(build / "test_graded", "--timeout-factor=20", f"--wrap={wrap}", name)
    assert result.returncode == 0, result.stdout + result.stderr
    return "".join(re.findall(r"^==\d+== ?(.*\n)", log.read_text(), flags=re.MULTILINE))


@pytest.mark.parametrize("name", ["an_allocation_fails_and_all_are_freed"])
def test_memcheck_finds_nothing(build: Path, name: str) -> None:
    """What works natively works under Memcheck, and the kit itself causes no finding."""
    assert memcheck(build, name) == ""


def test_memcheck_names_the_lines_of_the_submission(build: Path) -> None:
    """The wrapper of malloc() is not in the stacks."""
    report = memcheck(build, "a_byte_behind_a_block_is_read")
    code = r"0x[0-9A-F]+: read_behind_a_block \(libc_calls.c:\d+\)"
    assert re.search(rf"Invalid read of size 1\n +at {code}", report), report
    assert re.search(
        rf"0 bytes after a block of size 10 alloc'd\n +at .* malloc .*\n +by {code}", report
    ), report
