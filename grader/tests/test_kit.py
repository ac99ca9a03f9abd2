"""The kit of a lab is compiled again when, and only when, it has changed."""

import shutil
from dataclasses import replace
from pathlib import Path

from labkit.grading.grade import grade_submission
from labkit.lab.kit import build_kit
from labkit.lab.manifest import Sample, load_lab
from labkit.proof.sample import sample_class

LAB = "08-twice"


def test_a_changed_flag_recompiles_everything(new_lab_root: Path, tmp_path: Path) -> None:
    """Make alone notices only changed files."""
    root = Path(shutil.copytree(new_lab_root, tmp_path / "root", symlinks=True))
    rules = root / "labs/lab.mk"
    text = rules.read_text(encoding="utf-8")
    rules.unlink()
    rules.write_text(text, encoding="utf-8")
    puppet = build_kit(load_lab(root, LAB)).puppet
    before = puppet.read_bytes()
    assert "KIT_FLAGS += -O2 -g" in text
    rules.write_text(text.replace("KIT_FLAGS += -O2 -g", "KIT_FLAGS += -O0 -g"), encoding="utf-8")
    build_kit(load_lab(root, LAB))
    assert puppet.read_bytes() != before


def test_the_version_is_a_hash_of_contents(new_lab_root: Path, tmp_path: Path) -> None:
    """Every copy has the same version, whatever its times; any changed character changes it."""
    first = build_kit(load_lab(new_lab_root, LAB))
    root = Path(shutil.copytree(new_lab_root, tmp_path / "root", symlinks=True))
    header = root / "labs" / LAB / "twice.h"
    header.touch()
    assert build_kit(load_lab(root, LAB)).version == first.version
    header.write_text(header.read_text(encoding="utf-8") + "\n", encoding="utf-8")
    assert build_kit(load_lab(root, LAB)).version != first.version


def test_given_sources_are_linked_and_not_handed_in(new_lab_root: Path, tmp_path: Path) -> None:
    """The grader compiles its own copy; a copy that a student hands in is ignored."""
    root = Path(shutil.copytree(new_lab_root, tmp_path / "root", symlinks=True))
    labdir = root / "labs" / LAB
    with (labdir / "Makefile").open("a", encoding="utf-8") as file:
        file.write("GIVEN := given.c\n")
    text = (labdir / "Makefile").read_text(encoding="utf-8")
    include = "include ../lab.mk\n"
    (labdir / "Makefile").write_text(text.replace(include, "") + include, encoding="utf-8")
    (labdir / "given.c").write_text("int times(int n);\nint times(int n) { return 2 * n; }\n")
    folder = tmp_path / "doe"
    folder.mkdir()
    code = '#include "twice.h"\nint times(int n);\nint twice_twice(int n) { return times(n); }\n'
    (folder / "twice.c").write_text(code, encoding="utf-8")
    (folder / "given.c").write_text("int times(int n) { return 3 * n; }\n", encoding="utf-8")
    result = grade_submission(load_lab(root, LAB), folder)
    assert (result.score, result.submission.files) == (100, ("twice.c",))


def test_a_reference_of_the_repository_is_graded_by_its_solution_side(
    new_lab_root: Path,
) -> None:
    """A note says so; a copy outside of the repository is an ordinary submission."""
    lab = load_lab(new_lab_root, LAB)
    result = grade_submission(lab, lab.soldir)
    assert result.score == 100
    assert "twice.c: a reference that contains its skeleton" in result.submission.notes[-1]


def test_a_new_lab_has_a_sample_class(new_lab_root: Path, tmp_path: Path) -> None:
    """It needs no accepted solutions; the small class has the broken versions of lab.toml."""
    root = Path(shutil.copytree(new_lab_root, tmp_path / "root", symlinks=True))
    lab = load_lab(root, LAB)
    small = ["reference", "reference as zip.zip", "skeleton", "does not compile"]
    assert [path.name for path in sample_class(lab)] == small
    sample = Sample(broken=("copy_leaked",), hangs="number_not_doubled")
    names = [path.name for path in sample_class(replace(lab, sample=sample))]
    assert names[3:5] == ["broken copy_leaked", "hangs number_not_doubled"]
    everything = [path.name for path in sample_class(lab, everything=True)]
    assert len(everything) == len(small) + 4
