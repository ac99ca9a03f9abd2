"""What a submission asks the test (faults, callbacks), traps, and hostile submissions.

The tests are in kitlab/test_faults.c and the files beside it.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import pytest
from kit_binary import KITLAB, names_of_tests, run_binary

SOURCES: Final = ("test_faults.c", "test_callbacks.c", "test_traps.c", "test_hostile.c")
TESTS: Final = [name for source in SOURCES for name in names_of_tests(KITLAB / source)]

# The message that a student reads.
CATCHES: Final = {
    "catches_a_call_that_is_never_made": (
        "no call of pipe() or malloc() was seen in add(1, 2, 3, 4, 5, 6); call the function of libc"
    ),
    "catches_a_callback_of_a_child": "a child process called back during call_in_child(",
    "catches_a_failed_assertion_in_a_callback": "in progress: call_times(",
    "catches_a_failed_assertion_in_a_callback_of_a_script": (
        "in progress: call 2 of a script of 2: call_times("
    ),
    "catches_callbacks_without_end": "did not return: it used up its CPU time",
    "catches_a_raised_signal_that_is_no_trap": (
        "raise_segv() returned 7 without touching all of the buffer"
    ),
    "catches_a_trap_that_no_test_waits_for": (
        "sum(message, 101) did not return: it accessed memory behind the end of a buffer"
    ),
    "catches_a_write_behind_the_last_of_many_blocks": "wrote past the end of last (16 bytes long)",
    "catches_a_pointer_of_32_bits": "read_by_32_bits(byte) ended the process: killed by SIGSEGV",
    "catches_a_control_page_that_was_unmapped": "ended the process: killed by SIGSEGV",
    "catches_a_control_page_that_was_replaced": "no call of pipe() was seen in replace_control(0)",
    "catches_a_control_page_without_answers": "it is asleep or stopped, and nothing wakes it",
    "catches_closed_descriptors_of_the_kit": "close_kit_fds() ended the process",
    "catches_a_question_about_no_call": "the question does not belong to this call",
    "catches_a_question_about_a_call_of_a_negative_number": "the question does not belong to",
    "catches_a_question_about_a_call_of_more_than_32_bits": "the question does not belong to",
    "catches_a_callback_that_is_not_there": "there is no callback 4294967295",
    "catches_a_forged_return": "the reply does not belong to this call",
    "catches_more_questions_than_can_wait": "more than 256 of its calls wait at the same time",
    "catches_questions_without_end": "did not return: it used up its CPU time",
    "catches_questions_without_end_of_children": "timed out waiting for fault_fired",
}
HANGS: Final = {
    "catches_callbacks_without_end",
    "catches_a_trap_that_no_test_waits_for",
    "catches_a_control_page_without_answers",
    "catches_questions_without_end",
    "catches_questions_without_end_of_children",
}
# Root can read every process; these run as another user.
UNREADABLE: Final = {
    "catches_a_puppet_that_made_itself_unreadable": "so it cannot be seen to wait",
    "catches_a_child_that_made_itself_unreadable": "so its descriptors cannot be seen",
}
NOBODY: Final = 65534
MAX_MEMORY_BYTES: Final = 64 << 20


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


@pytest.mark.parametrize("name", [name for name in TESTS if name not in CATCHES | UNREADABLE])
def test_holds(build: Path, name: str) -> None:
    """Faults, callbacks and traps work as testkit.h says."""
    result = run_binary(build / "test_graded", name)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("name", list(CATCHES))
def test_catches(build: Path, name: str) -> None:
    """Misbehaviour fails the test, with a message; a hang has its own exit status.

    What a submission sends is not kept: the memory of the test is limited.
    """
    limit = ("prlimit", f"--data={MAX_MEMORY_BYTES}")
    result = run_binary(build / "test_graded", name, prefix=limit)
    assert result.returncode == (4 if name in HANGS else 1), result.stdout + result.stderr
    assert CATCHES[name] in result.stderr


@pytest.mark.parametrize("name", list(UNREADABLE))
def test_catches_an_unreadable_process(build: Path, name: str) -> None:
    """A process that executes a program which it may not read cannot be observed."""
    with TemporaryDirectory() as directory:
        copy = Path(directory, "build")
        (copy / "programs").mkdir(parents=True)
        for file in ("test_graded", "puppet", "submission.so"):
            shutil.copy(build / file, copy)
        shutil.copy(build / "programs" / "beacon", copy / "programs" / "unreadable")
        (copy / "programs" / "unreadable").chmod(0o111)
        Path(directory).chmod(0o755)
        user = NOBODY if os.getuid() == 0 else None
        result = run_binary(copy / "test_graded", name, user=user)
    assert result.returncode == 1, result.stdout + result.stderr
    assert f"made itself unreadable, {UNREADABLE[name]}" in result.stderr


def test_every_catch_is_a_test() -> None:
    """Each expected message belongs to a test."""
    assert CATCHES.keys() | UNREADABLE.keys() == {
        name for name in TESTS if name.startswith("catches_")
    }


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


@pytest.mark.parametrize(
    "name",
    [
        "an_allocation_fails_and_all_are_freed",
        "an_allocation_at_the_end_of_a_function_is_counted",
        "a_callback_uses_only_the_arguments_that_were_declared",
    ],
)
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
