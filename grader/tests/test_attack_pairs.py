"""An attack gains nothing: wrong code gets the same verdicts with it and without it.

`make attacks` grades every test of the labs; `make test` grades those that the pair names.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

import attack_pairs
import pytest
from attack_pairs import differences, gains, grade, lab_of, load_pair, write_pair

from labkit.errors import GraderError
from labkit.grading.grade import choose_sandbox
from labkit.lab.skeleton import write_reference
from labkit.sandbox.interface import Kind

FULL: Final = os.environ.get("LABKIT_ATTACKS") == "full"
# Gains that are known; each is removed with its cause.
KNOWN: Final = frozenset(
    {
        "scripts_read_06",
    }
)
CASES: Final = [
    pytest.param(
        name, kind, id=f"{name}-{kind}", marks=[pytest.mark.xfail] if name in KNOWN else []
    )
    for name in attack_pairs.NAMES
    for kind in load_pair(name).kinds
]


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory that every user can read, as an instructor's may be."""
    with TemporaryDirectory(prefix="attack-pair-") as name:
        path = Path(name)
        path.chmod(0o755)
        yield path


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_the_attack_gains_nothing(name: str, kind: Kind, directory: Path) -> None:
    """Every test has the same verdict, and none is a grader error."""
    pair = load_pair(name)
    need_sandbox(kind, name)
    honest, attack = write_pair(name, directory)
    without, with_attack = (grade(pair, path, kind, full=FULL) for path in (honest, attack))
    assert without.result.status == "graded", without.messages
    assert {test.name for test in without.result.failed} & set(pair.tests), "it should be wrong"
    found = gains(without, with_attack) if FULL else differences(pair, without, with_attack)
    assert not found, with_attack.messages


def test_a_gain_is_noticed(directory: Path) -> None:
    """The reference, graded as an attack, has other verdicts than the honest code."""
    pair = load_pair("running_test_seen_01")
    need_sandbox("bwrap", "running_test_seen_01")
    honest, _ = write_pair("running_test_seen_01", directory)
    write_reference(lab_of(pair), directory / "reference")
    without, better = (grade(pair, path, "bwrap") for path in (honest, directory / "reference"))
    assert differences(pair, without, better)
    assert gains(without, better)
    assert not gains(better, without)
    assert not differences(pair, without, without)


def need_sandbox(kind: Kind, name: str) -> None:
    """Skips the test if this machine cannot make that kind of sandbox for the lab."""
    try:
        choose_sandbox(kind, lab_of(load_pair(name)))
    except GraderError as error:
        pytest.skip(str(error))
