"""The C test kit, proved by a lab whose submission misbehaves in every way (kitlab/)."""

import re
import subprocess
from pathlib import Path

import pytest

KITLAB = Path(__file__).parent / "kitlab"
TESTS = re.findall(r"^TEST\((\w+),", (KITLAB / "test_public.c").read_text(), flags=re.MULTILINE)

# What a student must be able to read when the kit catches something.
CATCHES = {
    "catches_a_function_that_is_not_defined": "does not define missing_function()",
    "catches_a_crash": "crash() ended the process: killed by SIGSEGV",
    "catches_exit_0": "leave(0) ended the process: it called exit(0)",
    "catches_exit_in_a_script": "call 2 of a script of 2: leave_at_once(0) ended the process",
    "catches_an_endless_loop": "spin() did not return: it used up its CPU time",
    "catches_a_sleep_for_ever": "asleep or stopped, and nothing wakes it",
    "catches_a_puppet_that_stops_itself": "asleep or stopped, and nothing wakes it",
    "catches_a_daemon_that_keeps_the_socket": "daemon_and_die() ended the process",
    "catches_closed_descriptors": "close_all() ended the process",
    "catches_a_child_that_returns": "a child of yours returned from fork_and_return()",
    "catches_a_child_that_returns_while_its_parent_waits": "a child of yours returned",
    "catches_an_answer_without_the_nonce": "what came back is not the answer",
    "catches_an_answer_of_a_child": "what came back is not the answer",
    "catches_answers_in_advance": "what came back is not the answer",
    "catches_a_write_past_the_end": "wrote past the end of meta (10 bytes long): 1 bytes",
    "catches_a_write_in_front": "wrote in front of meta: 1 bytes",
    "catches_a_sleep_with_a_limit_where_the_call_has_none": "polls",
    "catches_spinning": "spin() spins",
    "catches_polling": "nap() polls",
    "catches_a_return_where_it_should_wait": "should wait, but returned 6",
    "catches_a_descriptor_that_leaks": "3 (/dev/null)",
    "catches_a_zombie": "a zombie: no process waited for it",
    "catches_an_object_left_behind": "left behind: POSIX shared memory or semaphore /left-",
    "catches_a_program_that_is_not_there": "cannot execute /nowhere/at/all: No such file",
}

HANGS = {
    "catches_an_endless_loop",
    "catches_a_sleep_for_ever",
    "catches_a_puppet_that_stops_itself",
}


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The kit's own lab, built."""
    into = tmp_path_factory.mktemp("kitlab")
    subprocess.run(
        ["make", "-C", KITLAB, f"BUILD={into}", "build", f"{into}/fuzz_replies"],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return into


def run(build: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Runs the test binary with a fork server of its own."""
    return subprocess.run(
        [
            build / "test_public",
            f"--puppet={build}/puppet",
            f"--submission={build}/submission.so",
            f"--programs={build}/programs",
            *words,
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("name", [name for name in TESTS if name not in CATCHES])
def test_holds(build: Path, name: str) -> None:
    """What the kit promises of calls, memory, processes and faults holds."""
    result = run(build, name)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("name", list(CATCHES))
def test_catches(build: Path, name: str) -> None:
    """Misbehaviour fails the test, with words that say what happened; a hang has its own status."""
    result = run(build, name)
    assert result.returncode == (4 if name in HANGS else 1), result.stdout + result.stderr
    assert CATCHES[name] in result.stderr


def test_every_catch_is_a_test_of_the_lab() -> None:
    """No expectation is left without the test it speaks of."""
    assert set(CATCHES) == {name for name in TESTS if name.startswith("catches_")}


def test_an_unknown_test_is_a_usage_error(build: Path) -> None:
    """A name that no test has ends the run with status 2, before anything ran."""
    result = run(build, "no_such_test")
    assert result.returncode == 2
    assert "there is no test no_such_test" in result.stderr


def test_a_missing_puppet_is_a_grader_error(build: Path) -> None:
    """What the grader lacks is status 3, never a failed test."""
    result = subprocess.run(
        [build / "test_public", "--puppet=/nowhere", "--submission=/nowhere", TESTS[0]],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 3
    assert "grader error" in result.stderr


def test_fuzzed_answers_never_pass_for_right_ones(build: Path) -> None:
    """Of 10^5 answers with random changes, exactly the right ones are taken,
    with no complaint of the sanitizers.
    """
    result = subprocess.run(
        [build / "fuzz_replies", "100000", "7"], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stdout + result.stderr
