"""Runs of the test binary: its exit statuses, and the descriptors of interrupted passes."""

import re
import signal
from pathlib import Path
from typing import Final

import pytest

from labkit import batch
from labkit.errors import EXIT_INTERRUPTED, Interrupted
from labkit.grading.grade import compiled
from labkit.grading.run import TestExit, run_memcheck, run_test
from labkit.lab.manifest import load_lab
from labkit.lab.skeleton import write_reference
from labkit.result import Result
from labkit.sandbox.interface import how_ended

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
