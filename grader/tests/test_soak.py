"""Soaking finds a test with two different verdicts."""

from collections import Counter
from pathlib import Path

from labkit.lab.manifest import load_lab
from labkit.lab.skeleton import write_reference
from labkit.proof.soak import Soaked, soak, table

LAB = "08-twice"
TIMES = 40
RANDOM_VERDICT = """\
#include <sys/random.h>

#include "twice.h"

int twice_twice(int number)
{
    unsigned char coin = 0;

    (void)!getrandom(&coin, 1, 0);
    return coin & 1 ? number + number : 1000;
}
"""


def soaked(root: Path, source: Path, *, times: int) -> list[Soaked]:
    """Soaks the only test of the new lab."""
    return list(soak(load_lab(root, LAB), source, times=times))


def test_a_reference_that_passes_every_time(new_lab_root: Path, tmp_path: Path) -> None:
    """All runs agree on a busy machine."""
    write_reference(load_lab(new_lab_root, LAB), tmp_path)
    [one] = soaked(new_lab_root, tmp_path, times=3)
    assert one.agrees
    assert one.verdicts == Counter({"pass": 3})
    assert "1 of 1 tests had one verdict only" in table(
        load_lab(new_lab_root, LAB), [one], started=0
    )


def test_a_submission_with_two_verdicts(new_lab_root: Path, tmp_path: Path) -> None:
    """Both verdicts are reported, with the seed of the less frequent one."""
    (tmp_path / "twice.c").write_text(RANDOM_VERDICT)
    [one] = soaked(new_lab_root, tmp_path, times=TIMES)
    assert not one.agrees
    assert set(one.verdicts) == {"pass", "fail"}
    assert one.outlier.startswith("seed ")
