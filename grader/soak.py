"""make soak GRADINGS=1000: many gradings in one process, which must leave nothing behind.

Good, bad and hostile submissions of all labs are graded in random order, each with a few tests,
in every kind of sandbox that this machine has.  A good one must pass, a bad one must fail, and none
may end as a grader error.  Afterwards there is no descriptor, thread, process, lease of a uid, key,
IPC object or file that was not there before, and memory has stopped growing.

    soak.py --gradings 1000 --seed 1       stops early with --seconds
    soak.py --gradings 200 --load 20 --reference 01-buddy

With --reference the reference of one lab is graded in full each time, and must get every point.
"""

import argparse
import os
import random
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Final

ROOT: Final = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "grader/tests"))

import attack_pairs  # noqa: E402
from own_uids import left_behind, own_uids  # noqa: E402
from target_lab import ATTACKS, make_target  # noqa: E402

from labkit.errors import GraderError  # noqa: E402
from labkit.grading.grade import choose_sandbox, grade_submission  # noqa: E402
from labkit.lab.kit import build_kit  # noqa: E402
from labkit.lab.manifest import Lab, lab_names, load_lab  # noqa: E402
from labkit.lab.skeleton import write_accepted, write_reference  # noqa: E402
from labkit.proof.broken import broken_paths, load_broken, write_broken  # noqa: E402
from labkit.proof.inspection import accepted_folders  # noqa: E402
from labkit.proof.load import busy_machine  # noqa: E402
from labkit.result import MEMCHECK, Result  # noqa: E402
from labkit.sandbox.interface import Kind  # noqa: E402
from labkit.sandbox.uids import VARIABLE  # noqa: E402

TESTS: Final = 3  # of a submission that is not hostile
VALGRIND_EVERY: Final = 8
SAMPLES: Final = 20  # of the memory in use
GROWTH: Final = 1.05  # of the memory from the middle to the end


@dataclass(frozen=True)
class Subject:
    """A submission to grade, and what is wrong with a result; "" if nothing is."""

    name: str
    lab: Lab
    write: Callable[[Path], object]
    judge: Callable[[Result], str]
    tests: frozenset[str] | None = None  # None: a few by chance
    kinds: tuple[Kind, ...] = ("bwrap", "uid")


# ---- subjects -------------------------------------------------------------------


def subjects(target: Lab) -> dict[str, list[Subject]]:
    """All submissions of the repository, in three classes."""
    good, bad, hostile = [], [], []
    for lab in (load_lab(ROOT, name) for name in lab_names(ROOT)):
        good.append(Subject(f"{lab.name}/reference", lab, _writer(write_reference, lab), passes))
        good += [
            Subject(f"{lab.name}/{path.name}", lab, _writer(write_accepted, lab, path), passes)
            for path in accepted_folders(lab)
            if path.name not in lab.accepted  # it covers the whole lab
        ]
        bad += [_broken(lab, path) for path in broken_paths(lab)]
    for name in attack_pairs.NAMES:
        pair = attack_pairs.load_pair(name)
        lab, tests = load_lab(ROOT, pair.lab), frozenset(pair.tests)
        hostile.append(Subject(f"pairs/{name}", lab, _attack(name), ends, tests, pair.kinds))
    for path in sorted(ATTACKS.glob("*/attack.toml")):
        name = path.parent.name
        wanted = tomllib.loads(path.read_text(encoding="utf-8")).get("kinds", ["bwrap"])
        tests = frozenset(target.graded)
        hostile.append(Subject(name, target, _link(path.parent), ends, tests, tuple(wanted)))
    return {"good": good, "bad": bad, "hostile": hostile}


def _writer(write: Callable[..., object], *arguments: object) -> Callable[[Path], object]:
    return lambda into: write(*arguments, into)


def _attack(name: str) -> Callable[[Path], object]:
    def write(into: Path) -> None:
        with TemporaryDirectory() as folder:
            attack_pairs.write_pair(name, Path(folder))[1].rename(into)

    return write


def _link(folder: Path) -> Callable[[Path], object]:
    return lambda into: into.symlink_to(folder)


def _broken(lab: Lab, path: Path) -> Subject:
    version = load_broken(path, lab)

    def judge(result: Result) -> str:
        graded = {test.name for test in result.tests}
        failed = {test.name for test in result.failed}
        wrong = failed ^ (version.fails & graded)
        return ends(result) or (f"wrong verdict: {', '.join(sorted(wrong))}" if wrong else "")

    return Subject(
        f"{lab.name}/{version.name}",
        lab,
        lambda into: write_broken(version, lab, into),
        judge,
        version.fails,
    )


def ends(result: Result) -> str:
    """Nothing ends as a grader error, whatever it does."""
    broken = [f"{test.name}: {test.log}" for test in result.tests if test.status == "error"]
    return "; ".join(broken) or ("" if result.status == "graded" else result.status)


def passes(result: Result) -> str:
    """A right submission gets all points of the tests that ran."""
    failed = [f"{test.name}: {test.log}" for test in result.failed]
    return ends(result) or "; ".join(failed)


# ---- what is left behind ----------------------------------------------------------


@dataclass(frozen=True)
class Inventory:
    """What this process holds."""

    descriptors: frozenset[str]
    threads: int
    children: frozenset[str]

    @classmethod
    def take(cls) -> "Inventory":
        """Counts now."""
        tasks = list(Path("/proc/self/task").iterdir())
        children = [pid for task in tasks for pid in (task / "children").read_text().split()]
        open_now = []
        for number in os.listdir("/proc/self/fd"):  # noqa: PTH208
            try:
                open_now.append(f"{number} {Path('/proc/self/fd', number).readlink()}")
            except FileNotFoundError:
                continue  # the descriptor of listdir() itself
        return cls(frozenset(open_now), len(tasks), frozenset(children))


def memory_kib() -> int:
    """The resident memory of this process."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise AssertionError("/proc/self/status without VmRSS")


# ---- the run -------------------------------------------------------------------------


@dataclass
class Tally:
    """What happened so far."""

    counts: Counter[str]
    problems: list[str]
    seconds: list[float]
    memory: list[int]


def soak(options: argparse.Namespace, target: Lab, work: Path) -> Tally:
    """Grades submissions until the number or the time is reached."""
    tally = Tally(Counter(), [], [], [])
    chance = random.Random(options.seed)
    classes = subjects(target)
    kinds = list(usable_kinds(target))
    started = time.monotonic()
    for number in range(options.gradings):
        if time.monotonic() - started > options.seconds:
            break
        if number % max(1, options.gradings // SAMPLES) == 0:
            tally.memory.append(memory_kib())
        if options.reference:
            lab = load_lab(ROOT, options.reference)
            subject, group = _whole(lab), "reference"
        else:
            group = chance.choice(sorted(classes))
            subject = chance.choice(classes[group])
        usable = [kind for kind in kinds if kind in subject.kinds]
        if not usable:
            continue
        kind = chance.choice(usable)
        only, valgrind = _choice(subject, chance)
        _grade(tally, subject, group, kind, only, work / str(number), valgrind=valgrind)
    tally.memory.append(memory_kib())
    return tally


def _whole(lab: Lab) -> Subject:
    tests = frozenset(lab.graded)
    return Subject(f"{lab.name}/reference", lab, _writer(write_reference, lab), passes, tests)


def _choice(subject: Subject, chance: random.Random) -> tuple[frozenset[str], bool]:
    """The tests to run, and whether Valgrind does."""
    names = [test.name for test in subject.lab.tests]
    few = frozenset(chance.sample(names, min(TESTS, len(names))))
    if subject.tests is None:
        return few, chance.randrange(VALGRIND_EVERY) == 0
    return subject.tests, MEMCHECK in subject.tests


def _grade(
    tally: Tally,
    subject: Subject,
    group: str,
    kind: Kind,
    only: frozenset[str],
    source: Path,
    *,
    valgrind: bool,
) -> None:
    subject.write(source)
    started = time.monotonic()
    try:
        result = grade_submission(subject.lab, source, sandbox=kind, valgrind=valgrind, only=only)
        problem = subject.judge(result)
    except GraderError as error:
        problem = f"grader error: {error}"
    tally.seconds.append(time.monotonic() - started)
    tally.counts[group] += 1
    if problem:
        tally.problems.append(f"{subject.name} in {kind}: {problem}")
        print(tally.problems[-1], file=sys.stderr, flush=True)


def usable_kinds(lab: Lab) -> Iterator[Kind]:
    """The kinds of sandbox that protect and that this machine can make."""
    kinds: Sequence[Kind] = ("bwrap", "uid")
    for kind in kinds:
        try:
            choose_sandbox(kind, lab)
        except GraderError as error:
            print(f"without {kind}: {error}", file=sys.stderr)
        else:
            yield kind


def report(tally: Tally, left: Sequence[str], before: Inventory, after: Inventory) -> int:
    """Prints a summary; returns 1 if anything is wrong."""
    half = tally.memory[len(tally.memory) // 2]
    left = [
        *left,
        *(f"descriptor {name}" for name in sorted(after.descriptors - before.descriptors)),
        *(f"child {pid}" for pid in sorted(after.children - before.children)),
    ]
    if after.threads != before.threads:
        left.append(f"{after.threads - before.threads} threads")
    groups = ", ".join(f"{count} {group}" for group, count in sorted(tally.counts.items()))
    print(f"gradings: {tally.counts.total()} ({groups})")
    print(f"seconds each: median {median(tally.seconds):.2f}, longest {max(tally.seconds):.2f}")
    print(f"unexpected results: {len(tally.problems)}")
    print(f"left behind: {', '.join(left) or 'nothing'}")
    print(f"memory in KiB: {' '.join(map(str, tally.memory))}")
    grew = tally.memory[-1] > half * GROWTH
    return 1 if tally.problems or left or grew else 0


def main() -> int:
    """Runs the soak."""
    parser = argparse.ArgumentParser(description="Grades many submissions in one process.")
    parser.add_argument("--gradings", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after this")
    parser.add_argument("--load", type=int, default=0, help="processes that busy-wait beside")
    parser.add_argument("--reference", metavar="LAB", help="grade only this lab's reference")
    options = parser.parse_args()
    os.environ[VARIABLE] = own_uids()
    with ExitStack() as stack:
        work = Path(stack.enter_context(TemporaryDirectory(prefix="labkit-soak-")))
        target = make_target(work / "target")
        for lab in (target, *(load_lab(ROOT, name) for name in lab_names(ROOT))):
            build_kit(lab)
        stack.enter_context(busy_machine(options.load))
        (work / "gradings").mkdir()
        before = Inventory.take()
        tally = soak(options, target, work / "gradings")
        after = Inventory.take()
        left = left_behind()
    return report(tally, left, before, after)


if __name__ == "__main__":
    sys.exit(main())
