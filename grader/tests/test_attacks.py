"""Every hostile submission of grader/attacks gets its verdict, and does no harm.

Each is graded in a sandbox like any other; afterwards the reference must get the full score on the
same machine.  attack.toml says what the attack tries, which verdict it must get and what else must
hold:

    passes    exactly these pass         score     the score, exactly
    fails     these fail                 compiles  whether it does
"""

import os
import time
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import pytest
from own_uids import left_behind, own_uids
from target_lab import ATTACKS, make_target

from labkit.grading.grade import grade_submission
from labkit.intake.quoting import printable
from labkit.lab.manifest import Lab
from labkit.lab.skeleton import write_reference
from labkit.report import junit, markdown, terminal
from labkit.result import Result
from labkit.sandbox.detect import problem_of
from labkit.sandbox.interface import Kind
from labkit.sandbox.uids import VARIABLE

NAMES: Final = sorted(p.parent.name for p in ATTACKS.glob("*/attack.toml"))
WAIT_SECONDS: Final = 20


@dataclass(frozen=True)
class Attack:
    """A hostile submission; `holds` names functions of HOLDS, `kinds` the kinds of sandbox."""

    tries: str
    verdict: Mapping[str, Any]
    holds: tuple[str, ...]
    valgrind: bool
    kinds: tuple[Kind | Literal["auto"], ...]
    folder: Path


def load_attack(name: str) -> Attack:
    """Reads attack.toml; an unknown key is an error."""
    table = tomllib.loads((ATTACKS / name / "attack.toml").read_text(encoding="utf-8"))
    assert set(table) <= {"tries", "verdict", "holds", "valgrind", "kinds"}
    assert table["verdict"]
    assert set(table["verdict"]) <= {"passes", "fails", "score", "compiles"}
    return Attack(
        tries=table["tries"],
        verdict=table["verdict"],
        holds=tuple(table.get("holds", ())),
        valgrind=table.get("valgrind", False),
        kinds=tuple(table.get("kinds", ["auto"])),
        folder=ATTACKS / name,
    )


CASES: Final = [
    pytest.param(name, kind, id=name if kind == "auto" else f"{name}-{kind}")
    for name in NAMES
    for kind in load_attack(name).kinds
]


@pytest.fixture(scope="session")
def target(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    """The lab that is attacked, in a separate repository with links to the test kit."""
    return make_target(tmp_path_factory.mktemp("target"))


@pytest.fixture(scope="session")
def reference(target: Lab, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reference, which must get the full score after every attack."""
    folder = tmp_path_factory.mktemp("reference")
    write_reference(target, folder)
    return folder


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_the_attack_gets_its_verdict_and_does_no_harm(
    name: str,
    kind: Kind | Literal["auto"],
    target: Lab,
    reference: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The result is as in attack.toml, nothing is left behind, the reference scores in full."""
    attack = load_attack(name)
    if kind != "auto" and (problem := problem_of(kind)):
        pytest.skip(problem)
    monkeypatch.setenv(VARIABLE, own_uids())
    result = grade_submission(target, attack.folder, sandbox=kind, valgrind=attack.valgrind)
    check_verdict(attack, result)
    check_nothing_stays()
    for hold in attack.holds:
        HOLDS[hold](result)
    after = grade_submission(target, reference, sandbox=kind, valgrind=False)
    assert after.score == after.max_score, after.failed


def test_there_are_attacks_of_every_kind() -> None:
    """Forgery, build, theft, exhaustion, persistence, escape and reports."""
    kinds = {name.partition("_")[0] for name in NAMES}
    assert kinds == {"forge", "build", "steal", "exhaust", "persist", "escape", "report"}
    assert len(NAMES) >= 50


def test_a_missed_verdict_is_noticed(target: Lab, reference: Path) -> None:
    """The reference, graded as an attack, misses every kind of verdict."""
    result = grade_submission(target, reference, valgrind=False)
    for verdict in (
        {"passes": ["warnings"]},
        {"fails": ["fill_counts_up"]},
        {"score": 5},
        {"compiles": False},
    ):
        attack = Attack("nothing", verdict, (), valgrind=False, kinds=(), folder=reference)
        with pytest.raises(AssertionError):
            check_verdict(attack, result)


def check_verdict(attack: Attack, result: Result) -> None:
    """Compares the result with the expected verdict, which is never a grader error."""
    passed = {t.name for t in result.tests if t.status == "pass"}
    failed = {t.name for t in result.tests if t.status == "fail"}
    broken = {t.name: t.log for t in result.tests if t.status == "error"}
    verdict = attack.verdict
    assert not broken, attack.tries
    assert result.status == "graded"
    if "passes" in verdict:
        assert passed == set(verdict["passes"]), attack.tries
    if "fails" in verdict:
        assert failed >= set(verdict["fails"]), attack.tries
    if "score" in verdict:
        assert result.score == verdict["score"], attack.tries
    if "compiles" in verdict:
        assert result.build.ok == verdict["compiles"], attack.tries


# ---- what else must hold --------------------------------------------------


def check_nothing_stays() -> None:
    """No process, file, IPC object or key of the sandboxes outlives the grading.

    A grader without root gives its sandboxes no uid; then no process may stay that has loaded a
    submission.
    """
    if os.geteuid() == 0:
        assert not left_behind()
        return
    deadline = time.monotonic() + WAIT_SECONDS
    while orphans := abandoned_puppets():
        assert time.monotonic() < deadline, f"still there: {orphans}"
        time.sleep(0.1)


def abandoned_puppets() -> list[int]:
    """Processes that have loaded a submission and do not descend from a grader."""
    parents: dict[int, int] = {}
    names: dict[int, str] = {}
    loaded = []
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit():
            continue
        pid = int(folder.name)
        try:
            stat = (folder / "stat").read_text(errors="replace")
            if "submission.so" in (folder / "maps").read_text(errors="replace"):
                loaded.append(pid)
        except (FileNotFoundError, ProcessLookupError, PermissionError):
            continue  # it has ended, or belongs to another user
        names[pid] = stat[stat.index("(") + 1 : stat.rindex(")")]
        parents[pid] = int(stat[stat.rindex(")") :].split()[2])
    return [pid for pid in loaded if not descends_from_grader(pid, parents, names)]


def descends_from_grader(pid: int, parents: Mapping[int, int], names: Mapping[int, str]) -> bool:
    """Whether labkit or pytest is an ancestor; the parent of an orphan is process 1."""
    while pid > 1:
        if names.get(pid, "").startswith(("python", "pytest", "labkit")):
            return True
        pid = parents.get(pid, 0)
    return False


def result_is_small(result: Result) -> None:
    """Output is capped long before it fills a disk."""
    assert len(result.to_json()) < 1 << 20


def output_is_printable(result: Result) -> None:
    """No report contains a command for a terminal, a browser or a CI runner."""
    texts = {
        "terminal": terminal.summary(result, None),
        "markdown": markdown.feedback(result),
        "junit": junit.junit(result),
    }
    for writer, text in texts.items():
        for line in text.splitlines():
            assert printable(line[:70]) == line[:70], writer
    assert not [line for line in texts["terminal"].splitlines() if line.lstrip().startswith("::")]
    assert "<script>" not in texts["junit"]


HOLDS: Final[Mapping[str, Callable[[Result], None]]] = {
    "result_is_small": result_is_small,
    "output_is_printable": output_is_printable,
}
