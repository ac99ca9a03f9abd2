"""Runs of the test binary: its exit statuses, whose fault an end is, budgets, descriptors."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import msgspec
import pytest

from labkit import batch
from labkit.errors import EXIT_INTERRUPTED, GraderError, Interrupted
from labkit.grading import run
from labkit.grading.budget import cpu_seconds, share
from labkit.grading.grade import compiled, grade_submission
from labkit.grading.memcheck import TAMPERED
from labkit.grading.run import BinaryRun, CompiledSubmission, TestExit, run_memcheck, run_test
from labkit.lab.manifest import Lab, Memcheck, load_lab
from labkit.lab.skeleton import write_reference
from labkit.result import Result
from labkit.sandbox.detect import problem_of
from labkit.sandbox.interface import how_ended
from labkit.sandbox.watch import Ended

LAB: Final = "08-twice"
HEADER: Final = Path(__file__).parents[2] / "labs/testkit/shared/exit_status.h"


def test_the_exit_statuses_are_those_of_the_test_kit() -> None:
    """Python and C define the same names and numbers."""
    named = re.findall(r"STATUS_(\w+) = (\d+)", HEADER.read_text(encoding="utf-8"))
    assert {name: int(number) for name, number in named} == dict(TestExit.__members__)


def test_an_interrupted_pass_leaves_no_descriptor_open(new_lab_root: Path, tmp_path: Path) -> None:
    """Repeated interrupted tests and Valgrind passes leak no descriptor."""
    lab = load_lab(new_lab_root, LAB)
    write_reference(lab, tmp_path)
    with compiled(lab, tmp_path) as (submission, _):
        assert run_test(submission, "twice_doubles").status == "pass"
        assert run_memcheck(submission).status == "pass"
        submission.cancel.set()
        before = len(list(Path("/proc/self/fd").iterdir()))
        for _ in range(3):
            with pytest.raises(Interrupted):
                run_memcheck(submission)
            with pytest.raises(Interrupted):
                run_test(submission, "twice_doubles")
        assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_every_end_of_a_process_has_words() -> None:
    """A process can be killed by any of the real-time signals too, most of which have no name."""
    for number in range(1, signal.SIGRTMAX + 1):
        assert how_ended(-number).startswith("was killed by ")
    assert how_ended(-signal.SIGKILL) == "was killed by SIGKILL"
    assert how_ended(3) == "exited with status 3"


def test_a_class_that_is_interrupted_keeps_what_it_has(
    new_lab_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However the interruption arrives."""

    def interrupted(*_: object) -> Result:
        raise Interrupted

    monkeypatch.setattr(batch, "grade", interrupted)
    lab = load_lab(new_lab_root, LAB)
    [(entry, status)] = batch.grade_class(lab, [Path("a"), Path("b")], batch.GradeOptions())
    assert (entry.problem, status) == ("interrupted", EXIT_INTERRUPTED)


# ---- whose fault it is --------------------------------------------------------

WORKED: Final = BinaryRun(
    ended=Ended.DONE,
    over_budget=False,
    status=TestExit.PASSED,
    sandbox_status=0,
    sandbox_stopped=False,
    out_of_memory=False,
    explanation="",
    output="",
    log="",
    seconds=0.1,
)
ENDED: Final = replace(WORKED, status=TestExit.SANDBOX_ENDED)
GRADERS_FAULT: Final = {
    "grader error": replace(
        WORKED, status=TestExit.GRADER_ERROR, explanation="grader error: no sandbox\n"
    ),
    "test binary killed": replace(WORKED, status=-9),
    "sandbox ended": ENDED,
    "sandbox had to be killed": replace(ENDED, sandbox_status=None),
    "sandbox exited": replace(ENDED, sandbox_status=1),
    "out of memory": replace(ENDED, sandbox_status=-9, out_of_memory=True),
}
SUBMISSIONS_DOING: Final = {
    "killed": (replace(ENDED, sandbox_status=-9), "was killed by SIGKILL"),
    "killed in bwrap": (replace(ENDED, sandbox_status=128 + 24), "was killed by SIGXCPU"),
    "stopped": (replace(ENDED, sandbox_status=None, sandbox_stopped=True), "was stopped"),
}


@pytest.fixture
def submission(new_lab_root: Path, tmp_path: Path) -> Iterator[CompiledSubmission]:
    """The reference of a lab, compiled."""
    lab = load_lab(new_lab_root, LAB)
    write_reference(lab, tmp_path)
    with compiled(lab, tmp_path) as (made, _):
        yield made


def runs(monkeypatch: pytest.MonkeyPatch, *ends: BinaryRun | GraderError) -> list[object]:
    """The next runs of the test binary end like this; returns those that are left."""
    left: list[object] = list(ends)

    def end(*_: object, **__: object) -> BinaryRun:
        this = left.pop(0)
        if isinstance(this, GraderError):
            raise this
        assert isinstance(this, BinaryRun)
        return this

    monkeypatch.setattr(run, "_run_binary", end)
    return left


@pytest.mark.parametrize("how", GRADERS_FAULT)
def test_a_run_without_a_verdict_is_repeated(
    how: str, monkeypatch: pytest.MonkeyPatch, submission: CompiledSubmission
) -> None:
    """In a new sandbox, and once: then it is a grader error and never a lost point."""
    runs(monkeypatch, GRADERS_FAULT[how], WORKED)
    assert run_test(submission, "twice_doubles").status == "pass"
    runs(monkeypatch, GRADERS_FAULT[how], GRADERS_FAULT[how])
    assert run_test(submission, "twice_doubles").status == "error"
    runs(monkeypatch, GRADERS_FAULT[how], GRADERS_FAULT[how])
    assert run_memcheck(submission).status == "error"


def test_a_sandbox_that_does_not_start_is_started_again(
    monkeypatch: pytest.MonkeyPatch, submission: CompiledSubmission
) -> None:
    """The second reason is the one that is reported."""
    runs(monkeypatch, GraderError("no process"), WORKED)
    assert run_test(submission, "twice_doubles").status == "pass"
    runs(monkeypatch, GraderError("no process"), GraderError("no memory"))
    assert run_test(submission, "twice_doubles").message == "no memory"


@pytest.mark.parametrize("how", SUBMISSIONS_DOING)
def test_a_sandbox_that_the_submission_ended_fails_the_test(
    how: str, monkeypatch: pytest.MonkeyPatch, submission: CompiledSubmission
) -> None:
    """The message says how, and the test is not repeated."""
    end, what = SUBMISSIONS_DOING[how]
    left = runs(monkeypatch, end, WORKED)
    test = run_test(submission, "twice_doubles")
    assert (test.status, left) == ("fail", [WORKED])
    assert what in test.message


def test_only_the_instructor_sees_what_a_broken_run_wrote(
    monkeypatch: pytest.MonkeyPatch, submission: CompiledSubmission
) -> None:
    """It may hold the inputs of hidden tests; the grader's own reason is shown."""
    said = "calls of f, the last ones:\n  f(42)\ngrader error: no sandbox\n"
    end = replace(GRADERS_FAULT["grader error"], explanation=said, output="printed 43")
    runs(monkeypatch, end, end)
    test = run_test(submission, "twice_doubles")
    assert "no sandbox" in test.message
    assert not {"42", "43"} & set(re.findall(r"\d+", test.message))
    assert {"42", "43"} <= set(re.findall(r"\d+", test.log))


HOSTILE: Final = {
    "kill": "#include <signal.h>\n#include <unistd.h>\n{}kill(getppid(), SIGKILL); pause();",
    "stop": "#include <signal.h>\n#include <unistd.h>\n{}kill(getppid(), SIGSTOP); _exit(0);",
}


@pytest.mark.parametrize("how", HOSTILE)
def test_a_fork_server_that_the_submission_kills_or_stops_is_no_grader_error(
    how: str, new_lab_root: Path, tmp_path: Path
) -> None:
    """In a uid sandbox, it has the submission's uid."""
    if problem := problem_of("uid"):
        pytest.skip(problem)
    lab = load_lab(new_lab_root, LAB)
    start = "int twice_twice(int n)\n{ (void)n;"
    (tmp_path / "twice.c").write_text(HOSTILE[how].format(start) + " return 0; }\n")
    with compiled(lab, tmp_path, sandbox="uid") as (made, _):
        test = run_test(made, "twice_doubles")
    assert (test.status, test.message.partition(":")[0]) == (
        "fail",
        "the submission ended its sandbox",
    )


# ---- the budget ---------------------------------------------------------------

ENDLESS: Final = {
    "spins": "int twice_twice(int n) { while (n || !n) ; return n; }\n",
    "sleeps": "#include <unistd.h>\nint twice_twice(int n) { for (;;) usleep(9999); return n; }\n",
}


@pytest.fixture(scope="module")
def four_tests(new_lab_root: Path, tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """The lab with a budget of 2 s and three more tests."""
    root = tmp_path_factory.mktemp("four") / "root"
    shutil.copytree(new_lab_root, root, symlinks=True)
    more = ("one", "two", "three")
    test = '\nTEST({}, "It is right.")\n{{\n    assert_int_equal(twice_twice(4), 8);\n}}\n'
    with (root / "labs" / LAB / "test_public.c").open("a") as file:
        file.writelines(test.format(name) for name in more)
    path = root / "solutions" / LAB / "lab.toml"
    text = path.read_text().replace("points = 85", "points = 82")
    entry = '\n[[test]]\nname = "{}"\ngroup = "first"\npoints = 1\n'
    entries = "".join(entry.format(name) for name in more)
    path.write_text(f"{text}{entries}\n[limits]\nbudget_s = 2\n")
    return load_lab(root, LAB)


@pytest.mark.parametrize("how", ENDLESS)
@pytest.mark.parametrize("jobs", [1, 2])
def test_a_submission_may_use_its_budget_and_no_more(
    how: str, jobs: int, four_tests: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What runs then fails, and so do the rest; the messages say why."""
    monkeypatch.setattr(run, "share", lambda _: 1.0)  # also on a busy machine
    (tmp_path / "twice.c").write_text(ENDLESS[how])
    result = grade_submission(four_tests, tmp_path, jobs=jobs)
    assert result.status == "graded"
    first, *_, last = [t for t in result.tests if t.group]  # the last one was run first
    assert first.shown.message == (
        "the submission's time budget of 2 s was used up by the tests that ran before this one"
    )
    assert first.seconds == 0
    assert last.shown.message.endswith("by this test and those that ran before it") or (
        how == "spins" and "used up its CPU time" in last.shown.message
    )


def replace_budget(table: Memcheck, seconds: int) -> Memcheck:
    """[memcheck] with another budget."""
    return msgspec.structs.replace(table, budget_s=seconds)


def test_valgrind_has_a_budget_of_its_own(
    new_lab_root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A submission that hangs in all tests there, and nowhere else, loses the memory points."""
    monkeypatch.setattr(run, "share", lambda _: 1.0)
    monkeypatch.setattr(run, "MAX_STRETCH", 1000)
    lab = load_lab(new_lab_root, LAB)
    assert lab.memcheck is not None
    (tmp_path / "twice.c").write_text(ONLY_UNDER_VALGRIND)
    result = grade_submission(replace(lab, memcheck=replace_budget(lab.memcheck, 2)), tmp_path)
    assert [t.name for t in result.failed] == ["memcheck"]
    message = result.failed[0].shown.message
    assert message.startswith("Valgrind's report is not complete: no process exited normally")
    assert message.endswith("the tests used up their time budget of 2 s there")


ONLY_UNDER_VALGRIND: Final = """\
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include "twice.h"
int twice_twice(int n)
{
    char line[4096];
    FILE *maps = fopen("/proc/self/maps", "r");
    while (maps && fgets(line, sizeof line, maps))
        while (strstr(line, "valgrind"))
            usleep(1000);
    if (maps)
        fclose(maps);
    return n + n;
}
"""


# It leaks, and switches leaks off by a client request in code that it assembles.
ASSEMBLED: Final = """\
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "twice.h"
static const unsigned char code[] = {
    0x49, 0x88, 0xf9, 0x30, 0xd3, 0x49, 0xc0, 0xc6, 0x02, 0x49, 0xc0, 0xc6, 0x0c, 0x49, 0xc0, 0xc6,
    0x3c, 0x49, 0xc0, 0xc6, 0x32, 0x49, 0x86, 0xda, 0x49, 0x88, 0xd1, 0xc2};
int twice_twice(int n)
{
    char line[4096];
    FILE *maps = fopen("/proc/self/maps", "r");
    int valgrind = 0;
    while (maps && fgets(line, sizeof line, maps))
        valgrind |= strstr(line, "valgrind") != NULL;
    if (maps)
        fclose(maps);
    if (valgrind) {
        unsigned char *made = malloc(sizeof code);
        for (size_t i = 0; i < sizeof code; i++)
            made[i] = code[i] ^ 1;
        struct {
            uint64_t number;
            const char *option;
            uint64_t rest[4];
        } request = {0x1203, "--leak-check=no"};
        ((uint64_t(*)(void *))made)(&request);
        free(made);
    }
    volatile char *lost = malloc(8);
    lost[0] = n;
    lost = NULL;
    return n + n;
}
"""


def test_a_client_request_in_assembled_code_voids_the_report(
    new_lab_root: Path, tmp_path: Path
) -> None:
    """Under Valgrind, every heap block is executable."""
    lab = load_lab(new_lab_root, LAB)
    (tmp_path / "twice.c").write_text(ASSEMBLED)
    with compiled(lab, tmp_path) as (made, _):
        assert run_test(made, "twice_doubles").status == "pass"
        check = run_memcheck(made)
    assert (check.status, check.findings) == ("fail", ())
    assert check.message == f"Valgrind's report is not complete: {TAMPERED}"


def test_waiting_for_a_processor_is_not_charged() -> None:
    """On a machine with 20 busy processes for one processor, the budget lasts 20 times as long."""
    code = "import os, time\nos.sched_setaffinity(0, {0})\n"
    busy = [subprocess.Popen([sys.executable, "-c", code + "while True: pass"]) for _ in range(8)]
    try:
        used = "print('ran', flush=True)\nend = time.process_time() + 0.3\n"
        used += "while time.process_time() < end: pass\nprint(flush=True)\ninput()"
        one = subprocess.Popen(
            [sys.executable, "-c", code + used],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        with one:
            assert one.stdout
            one.stdout.readline()
            one.stdout.readline()
            assert share(one.pid) < 0.5
            one.kill()
    finally:
        for process in busy:
            process.kill()
            process.wait()


def test_the_cpu_time_of_a_sandbox_is_charged() -> None:
    """It is that of all processes that it has waited for."""
    spin = "import os, time\nif os.fork() == 0:\n"
    spin += "    while time.process_time() < 0.3: pass\n    os._exit(0)\nos.wait()"
    process = subprocess.Popen([sys.executable, "-c", spin])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert 0.25 < cpu_seconds(process.pid) < 5
    process.wait()


def test_what_cannot_be_read_is_no_discount() -> None:
    """Without schedstat, all time counts."""
    assert share(0) == 1
    assert cpu_seconds(0) == 0
