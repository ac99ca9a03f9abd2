"""The C test kit, tested by a lab whose submission misbehaves in many ways (kitlab/)."""

import re
import subprocess
from collections.abc import Mapping
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from kit_binary import KITLAB, names_of_tests, run_binary

TESTKIT = Path(__file__).parents[2] / "labs" / "testkit"
TESTS = names_of_tests(KITLAB / "test_public.c")

# The message that a student reads, for each misbehaviour that the kit catches.
CATCHES = {
    "catches_a_function_that_is_not_defined": "does not define missing_function()",
    "catches_a_crash": "crash() ended the process: killed by SIGSEGV",
    "catches_exit_0": "leave(0) ended the process: it called exit(0)",
    "catches_exit_in_a_script": "call 2 of a script of 2: leave_at_once(0) ended the process",
    "catches_an_endless_loop": "spin() did not return: it used up its CPU time",
    "catches_the_end_of_its_cpu_time": "ended the process: killed by SIGXCPU",
    "catches_a_condition_that_never_holds": "timed out waiting for never",
    "catches_a_fault_that_was_never_reached": (
        "planned, but never reached: fault_hold(FAULT_WAIT, 4)\n"
    ),
    "catches_a_fault_that_was_planned_too_late": (
        "never reached: fault_fail(FAULT_FORK, 1): 3 such calls had been made before"
    ),
    "catches_a_sleep_for_ever": "asleep or stopped, and nothing wakes it",
    "catches_a_puppet_that_stops_itself": "asleep or stopped, and nothing wakes it",
    "catches_a_daemon_that_keeps_the_socket": "daemon_and_die() ended the process",
    "catches_closed_descriptors": "close_all() ended the process",
    "catches_a_child_that_returns": "a child process returned from fork_and_return()",
    "catches_a_child_that_returns_while_its_parent_waits": "a child process returned",
    "catches_a_reply_without_the_nonce": "the reply does not belong to this call",
    "catches_a_reply_of_a_child": "the reply does not belong to this call",
    "catches_replies_in_advance": "the reply does not belong to this call",
    "catches_a_write_past_the_end": "wrote past the end of meta (10 bytes long): 1 bytes",
    "catches_a_write_in_front": "wrote in front of meta: 1 bytes",
    "catches_a_write_far_behind_all_blocks": "memory of the test that no call had passed to it",
    "catches_a_sleep_with_a_limit_where_the_call_has_no_timeout": "polls",
    "catches_an_input_that_is_read_back": "difference at offset 0 0xffffffdb 0x61",
    "catches_an_input_that_is_passed_twice": "db != 0x61",
    "catches_an_input_that_is_passed_by_two_runs_of_a_script": "db != 0x61",
    "catches_an_input_that_is_kept_while_another_call_waits": "db != 0x61",
    "catches_an_input_that_is_kept_within_a_script": "db != 0x61",
    "catches_a_result_that_is_read_late": "a5 != 0x61",
    "catches_a_program_where_children_are_forbidden": (
        "a process that the submission started is there, and may wake it"
    ),
    "catches_spinning": "spin() spins",
    "catches_polling": "nap() polls",
    "catches_a_return_where_it_should_wait": "should wait, but returned 6",
    "catches_a_descriptor_that_leaks": "3 (/dev/null)",
    "catches_a_zombie": "a zombie: no process waited for it",
    "catches_an_object_left_behind": "left behind: POSIX shared memory or semaphore /left-",
    "catches_a_program_that_is_not_there": "cannot execute /nowhere/at/all: No such file",
}

HANGS = {
    "catches_the_end_of_its_cpu_time",
    "catches_a_condition_that_never_holds",
    "catches_an_endless_loop",
    "catches_a_sleep_for_ever",
    "catches_a_puppet_that_stops_itself",
}


@pytest.fixture(scope="session")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The kit's own lab, built."""
    into = tmp_path_factory.mktemp("kitlab")
    subprocess.run(
        ["make", "-C", KITLAB, f"BUILD={into}", "build"],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    return into


@pytest.mark.parametrize("name", [name for name in TESTS if name not in CATCHES])
def test_holds(build: Path, name: str) -> None:
    """Calls, memory, processes and faults work as testkit.h says."""
    result = run_binary(build / "test_public", name)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("name", list(CATCHES))
def test_catches(build: Path, name: str) -> None:
    """Misbehaviour fails the test, with a message; a hang has its own exit status."""
    result = run_binary(build / "test_public", name)
    assert result.returncode == (4 if name in HANGS else 1), result.stdout + result.stderr
    assert CATCHES[name] in result.stderr


def test_a_run_can_stop_at_its_first_hang(build: Path) -> None:
    """The tests after it are not run; a test that fails in another way stops nothing."""
    names = ("catches_a_crash", "catches_an_endless_loop", "catches_exit_0")
    result = run_binary(build / "test_public", "--stop-at-hang", *names)
    assert result.returncode == 4, result.stdout + result.stderr
    assert [CATCHES[name] in result.stderr for name in names] == [True, True, False]


def test_every_catch_is_a_test_of_the_lab() -> None:
    """Each expected message belongs to a test."""
    assert set(CATCHES) == {name for name in TESTS if name.startswith("catches_")}


def test_an_unknown_test_is_a_usage_error(build: Path) -> None:
    """A name that no test has ends the run with status 2, before anything ran."""
    result = run_binary(build / "test_public", "no_such_test")
    assert result.returncode == 2
    assert "there is no test no_such_test" in result.stderr


def test_a_missing_puppet_is_a_grader_error(build: Path) -> None:
    """A missing file of the grader is status 3, never a failed test."""
    result = subprocess.run(
        [build / "test_public", "--puppet=/nowhere", "--submission=/nowhere", TESTS[0]],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 3
    assert "grader error" in result.stderr


def test_a_fault_that_happened_is_not_named_as_missing(build: Path) -> None:
    """Of two planned faults the explanation names only the one that was not reached."""
    result = run_binary(build / "test_public", "catches_a_fault_that_was_never_reached")
    assert "FAULT_FORK" not in result.stderr


@pytest.mark.parametrize(
    ("command", "end"),
    [("exit 7", "ended with exit status 7"), ("kill -9 $$", "was killed by SIGKILL")],
)
def test_the_end_of_the_fork_server_is_named(
    build: Path, tmp_path: Path, command: str, end: str
) -> None:
    """A sandbox that ends before student code ran is a grader error that says how it ended."""
    puppet = tmp_path / "puppet"
    puppet.write_text(f"#!/bin/sh\n{command}\n")
    puppet.chmod(0o755)
    result = subprocess.run(
        [build / "test_public", f"--puppet={puppet}", "--submission=/nowhere", TESTS[0]],
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 3
    assert f"the sandbox did not work: its fork server {end}" in result.stderr


def test_memcheck_reports_leaks_of_a_puppet_and_not_of_its_children(build: Path) -> None:
    """A forked child's memory is gone at exec or _exit, so it cannot leak."""

    def memcheck(name: str) -> subprocess.CompletedProcess[str]:
        command = ["make", "-s", "-C", str(KITLAB), f"BUILD={build}", "memcheck", f"TEST={name}"]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    child = memcheck("memory_is_lost_in_a_child")
    assert child.returncode == 0, child.stdout + child.stderr
    assert "Valgrind found no errors" in child.stdout
    puppet = memcheck("memory_is_lost_in_a_puppet")
    assert puppet.returncode != 0
    assert "33 bytes in 1 blocks are definitely lost" in puppet.stdout
    assert "submission loaded" not in puppet.stdout


def includes() -> dict[str, set[str]]:
    """For each file of the test kit the files of the kit that it includes."""
    found: dict[str, set[str]] = {}
    for path in TESTKIT.rglob("*.[ch]"):
        names = re.findall(r'^#include "(.+)"$', path.read_text(), flags=re.MULTILINE)
        # gcc's order for a quoted name: the directory of the file, then -iquote
        paths = [next(p for p in (path.parent / n, TESTKIT / n) if p.exists()) for n in names]
        found[within(path)] = {within(p) for p in paths}
    return found


def within(path: Path) -> str:
    """The path of a file within the kit: "test/arena.c"."""
    return path.resolve().relative_to(TESTKIT).as_posix()


def assert_no_cycle(graph: Mapping[str, set[str]]) -> None:
    """graphlib.CycleError names the cycle, if there is one."""
    TopologicalSorter(graph).prepare()


def test_includes_point_one_way() -> None:
    """shared/ includes nothing of the two sides, and neither side anything of the other."""
    may_include = {"shared": {"shared"}, "puppet": {"shared", "puppet"}}
    wrong = [
        f"{file} includes {other}"
        for file, others in includes().items()
        for other in others
        if str(Path(other).parent)
        not in may_include.get(str(Path(file).parent), {".", "shared", "test"})
    ]
    assert not wrong
    headers = {file for file in includes() if "/" not in file}
    assert not [h for h in headers for other in includes()[h] if other.startswith("test/")]


def test_includes_have_no_cycle() -> None:
    """The headers of the kit can be read in an order in which each needs only earlier ones."""
    assert_no_cycle(includes())


@pytest.mark.parametrize("side", ["test", "puppet"])
def test_calls_between_modules_point_one_way(build: Path, side: str) -> None:
    """No module of a process calls one that calls it, directly or through others."""
    defined: dict[str, str] = {}
    wanted: dict[str, set[str]] = {}
    for file in [*(build / "kit" / side).glob("*.o"), *(build / "kit" / "shared").glob("*.o")]:
        wanted[file.stem] = set()
        done = subprocess.run(["nm", file], capture_output=True, text=True, check=True)
        for line in done.stdout.splitlines():
            *_, kind, symbol = line.split()
            if kind == "U":
                wanted[file.stem].add(symbol)
            elif kind in "TDBR":
                defined[symbol] = file.stem
    # The wrappers of libc stand between the other modules and libc, by design.
    graph = {
        module: {d for d in map(defined.get, symbols) if d and not d.startswith("wrap_")} - {module}
        for module, symbols in wanted.items()
    }
    assert len(graph) > 5
    assert_no_cycle(graph)
