"""Who is to blame when a submission does not compile: the student, or the grader's machine."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import pytest

from labkit.errors import GraderError
from labkit.grading import build
from labkit.grading.grade import compiled
from labkit.lab.manifest import load_lab
from labkit.lab.skeleton import write_reference
from labkit.sandbox.interface import Outcome, run_job
from labkit.sandbox.watch import Ended

LAB: Final = "08-twice"
READY: Final = build.READY
NO_FORK: Final = (
    "gcc: fatal error: cannot execute '/usr/lib/gcc/x86_64-linux-gnu/12/cc1': "
    "vfork: Resource temporarily unavailable\ncompilation terminated.\n"
)
GRADERS: Final = {
    "no fork": (1, READY + NO_FORK),
    "no fork for ld": (1, READY + "collect2: fatal error: vfork: Cannot allocate memory\n"),
    "no fork for gcc": (2, READY + "sh: 1: Cannot fork\n"),
    "cc1 killed": (1, READY + "gcc: fatal error: Killed signal terminated program cc1\n"),
    "ld killed": (1, READY + "collect2: fatal error: ld terminated with signal 9 [Killed]\n"),
    "killed beside a warning": (
        1,
        READY + './a.c:3:5: warning: x\n    3 | f("x:3: error: y");\n' + NO_FORK,
    ),
    "gcc killed": (1, READY),
    "all killed": (-9, READY),
    "not started": (1, ""),
    "not delivered": (99, READY),
}
STUDENTS: Final = {
    "an error": (1, READY + "./a.c:3:5: error: expected ';'\n"),
    "no such header": (1, READY + "./a.c:3:5: fatal error: x.h: No such file or directory\n"),
    "undefined": (
        1,
        READY + "ld: a.o: undefined reference to `f'\ncollect2: error: ld returned 1\n",
    ),
    "CPU time": (
        1,
        READY + "gcc: fatal error: CPU time limit exceeded signal terminated program cc1\n",
    ),
    "memory": (1, READY + "cc1: out of memory allocating 65536 bytes after a total of 9 bytes\n"),
    "too large": (-25, READY),
    "too large in bwrap": (153, READY),
    "compiler crashes": (1, READY + "gcc: internal compiler error: Segmentation fault\n"),
    "a forged name": (1, READY + f"{NO_FORK}:1:2: error: #error x\n"),
}


@pytest.fixture
def reference(new_lab_root: Path, tmp_path: Path) -> Callable[[], bool]:
    """Compiles the reference of a lab, and returns whether that worked."""
    lab = load_lab(new_lab_root, LAB)
    write_reference(lab, tmp_path)

    def compile_it() -> bool:
        with compiled(lab, tmp_path) as (submission, _):
            return submission.build.ok

    return compile_it


def fail_with(
    monkeypatch: pytest.MonkeyPatch, outcomes: Sequence[tuple[int, str]]
) -> list[Outcome]:
    """The first runs of gcc that compile end like this; the list gets these ends."""
    failed: list[Outcome] = []

    def run(kind: Any, job: Any, **options: Any) -> Outcome:
        if build.COMPILE not in job.argv or len(failed) == len(outcomes):
            return run_job(kind, job, **options)
        status, output = outcomes[len(failed)]
        failed.append(Outcome(Ended.DONE, status, output, cut=False))
        return failed[-1]

    monkeypatch.setattr(build, "run_job", run)
    return failed


@pytest.mark.parametrize("how", GRADERS)
def test_a_compiler_that_could_not_run_is_run_again(
    how: str, monkeypatch: pytest.MonkeyPatch, reference: Callable[[], bool]
) -> None:
    """A loaded machine does not cost a point."""
    fail_with(monkeypatch, [GRADERS[how]])
    assert reference()


@pytest.mark.parametrize("how", GRADERS)
def test_a_compiler_that_could_not_run_twice_is_a_grader_error(
    how: str, monkeypatch: pytest.MonkeyPatch, reference: Callable[[], bool]
) -> None:
    """It is never "does not compile"."""
    fail_with(monkeypatch, [GRADERS[how]] * 2)
    with pytest.raises(GraderError):
        reference()


@pytest.mark.parametrize("how", STUDENTS)
def test_an_error_in_the_code_and_a_limit_are_the_students(
    how: str, monkeypatch: pytest.MonkeyPatch, reference: Callable[[], bool]
) -> None:
    """The submission does not compile, and gcc is not run again."""
    failed = fail_with(monkeypatch, [STUDENTS[how]] * 2)
    assert not reference()
    assert len(failed) == 1
