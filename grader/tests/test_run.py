"""Runs of the test binary: its exit statuses, and the descriptors of interrupted passes."""

import re
from pathlib import Path
from typing import Final

import pytest

from labkit.errors import Interrupted
from labkit.grading.grade import compiled
from labkit.grading.run import TestExit, run_memcheck, run_test
from labkit.lab.manifest import load_lab
from labkit.lab.skeleton import write_reference

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
