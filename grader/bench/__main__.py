"""make bench: the cost of grading, compared with a naive grader.

It prints ratios of medians of interleaved runs on this machine, with the aims of the project beside
them.  Nothing here is a test.
"""

import os
import re
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from labkit.errors import LabkitError
from labkit.grading.grade import compiled
from labkit.grading.run import run_test
from labkit.lab.kit import HIDDEN_TESTS, Kit, build_kit
from labkit.lab.manifest import Lab, load_lab
from labkit.lab.skeleton import write_reference
from labkit.lab.sources import make

ROOT: Final = Path(__file__).parents[2]
LABKIT: Final = Path(sys.executable).parent / "labkit"
ROUND_TRIPS: Final = Path(__file__).parent / "round_trips.c"
QUESTIONS: Final = Path(__file__).parent / "questions.c"
KITLAB: Final = ROOT / "grader" / "tests" / "kitlab"
ROUNDS: Final = int(os.environ.get("ROUNDS", "7"))
CALL_AIM_US: Final = 15.0
SANDBOX_AIM_MS: Final = 10.0


@dataclass(frozen=True)
class Places:
    """The paths of what is measured."""

    lab: Lab
    submission: Path
    build: Path
    kit: Kit


def main(name: str) -> int:
    """Prints the table for a lab."""
    lab = load_lab(ROOT, name)
    kit = build_kit(lab)
    with TemporaryDirectory(prefix="labkit-bench-") as folder:
        build = Path(folder, "build")
        places = Places(lab, Path(folder, "reference"), build, kit)
        write_reference(lab, places.submission)
        _naive(places)  # compiles the objects of the kit, which later rounds use again
        steps: Mapping[str, Callable[[Places], None]] = {
            "a": _compile_alone,
            "b": _naive,
            "c": _grade_native,
            "d": _grade,
            "e": _bare_valgrind,
        }
        ms = _medians(places, steps)
        _print_grading(ms)
        if name == "01-buddy":
            _print_calls(places)
    return 0


def _medians(places: Places, steps: Mapping[str, Callable[[Places], None]]) -> dict[str, float]:
    """Milliseconds of each step: the median of rounds that run all of them in turn."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(ROUNDS):
        for name, step in steps.items():
            started = time.perf_counter()
            step(places)
            times[name].append((time.perf_counter() - started) * 1000)
    return {name: statistics.median(values) for name, values in times.items()}


def _print_grading(ms: Mapping[str, float]) -> None:
    both = ms["b"] + ms["e"]
    print(f"medians of {ROUNDS} interleaved rounds")
    _row("a  gcc of the student's file", f"{ms['a']:.0f} ms")
    _row("b  naive: compile, link, run, no sandbox", f"{ms['b']:.0f} ms")
    _row(
        "c  labkit grade, without Valgrind",
        f"{ms['c']:.0f} ms",
        f"{ms['c'] / ms['b']:.2f} x b",
        "1.6",
    )
    _row("d  labkit grade", f"{ms['d']:.0f} ms", f"{ms['d'] / both:.2f} x (b + e)", "1.1")
    _row("e  the same calls under bare Valgrind", f"{ms['e']:.0f} ms")


def _print_calls(places: Places) -> None:
    calls, questions = places.build / "calls", places.build / "questions"
    make(places.lab.labdir, f"BUILD={calls}", f"HIDDEN={ROUND_TRIPS}", "graded", "kit")
    make(KITLAB, f"BUILD={questions}", f"HIDDEN={QUESTIONS}", "build", "graded")
    for what, test, build, library in (
        ("a remote call", "round_trips", calls, places.build / "submission.so"),
        ("a callback, CPU time of both sides", "callbacks", questions, None),
        ("an armed call, CPU time of both sides", "armed_calls", questions, None),
    ):
        us = statistics.median(_microseconds(build, test, library) for _ in range(ROUNDS))
        _row(what, f"{us:.1f} us", aim=f"{CALL_AIM_US:g} us")
    ms = []
    with compiled(places.lab, places.submission) as (submission, _):
        for _ in range(3 * ROUNDS):
            started = time.perf_counter()
            run_test(submission, places.lab.tests[0].name)
            ms.append((time.perf_counter() - started) * 1000)
    _row(
        "a test: sandbox started, run, swept",
        f"{statistics.median(ms):.1f} ms",
        aim=f"{SANDBOX_AIM_MS:g} ms",
    )


def _row(what: str, value: str, ratio: str = "", aim: str = "") -> None:
    print(f"{what:40}{value:>10}  {ratio:16}{f'aim: at most {aim}' if aim else ''}".rstrip())


def _microseconds(build: Path, test: str, submission: Path | None) -> float:
    """What a program of this directory prints as the time of one call."""
    library = submission or build / "submission.so"
    done = _run(
        build / "test_graded", "--puppet", build / "puppet", "--submission", library, test
    )  # fmt: skip
    found = re.search(r"([\d.]+) us an? ", done)
    if found is None:
        raise LabkitError(f"no time in {done!r}")
    return float(found[1])


# ---- the five steps ---------------------------------------------------------


def _compile_alone(places: Places) -> None:
    _submission(places, places.build / "alone.so")


def _naive(places: Places) -> None:
    """What a naive grader does for each submission: compile, link and run, without a sandbox."""
    hidden = sorted(places.lab.soldir.glob(HIDDEN_TESTS))
    objects = [f"{path.stem}.o" for path in hidden]
    for name in ("test_public.o", "stubs.o", "test_graded", *objects):
        (places.build / name).unlink(missing_ok=True)
    _submission(places, places.build / "submission.so")
    make(
        places.lab.labdir,
        f"BUILD={places.build}",
        f"HIDDEN={' '.join(map(str, hidden))}",
        "graded",
        "kit",
    )
    _run(*_graded(places))


def _grade_native(places: Places) -> None:
    _run(LABKIT, "grade", places.lab.name, places.submission, "--no-valgrind", *_out(places))


def _grade(places: Places) -> None:
    _run(LABKIT, "grade", places.lab.name, places.submission, *_out(places))


def _bare_valgrind(places: Places) -> None:
    if places.lab.memcheck:
        log = places.build / "valgrind.log"
        tests = places.lab.memcheck.tests
        valgrind = f"valgrind -q {' '.join(places.kit.memcheck_flags)} --log-file={log}"
        factor = f"--timeout-factor={places.kit.valgrind_factor}"
        _run(*_graded(places), factor, "--wrap", valgrind, *tests)


def _submission(places: Places, to: Path) -> None:
    """Compiles submission.so, and the student's programs beside it."""
    _gcc(places, to, places.kit.submission_flags, places.lab.sources.submission, places.kit.given)
    for program in places.lab.programs:
        if not program.given:
            name = to.parent / "programs" / program.name
            _gcc(places, name, places.kit.program_flags, program.sources)


def _gcc(
    places: Places,
    to: Path,
    flags: tuple[str, ...],
    names: tuple[str, ...],
    given: tuple[Path, ...] = (),
) -> None:
    to.parent.mkdir(parents=True, exist_ok=True)
    sources = [*(places.submission / name for name in names), *given]
    _run("gcc", *flags, "-iquote", places.lab.labdir, "-o", to, *sources)


def _graded(places: Places) -> tuple[str | Path, ...]:
    build = places.build
    return (
        build / "test_graded", "--seed", "1", "--puppet", build / "puppet",
        "--submission", build / "submission.so", "--programs", build / "programs",
    )  # fmt: skip


def _out(places: Places) -> tuple[str, str]:
    return ("--out", str(places.build / "out"))


def _run(*arguments: str | Path) -> str:
    return subprocess.run(
        [str(argument) for argument in arguments], check=True, capture_output=True, text=True
    ).stdout


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
