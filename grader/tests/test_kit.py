"""The trusted half of a lab is made again when, and only when, it has to be."""

import shutil
from pathlib import Path

from labkit.lab.kit import build_kit
from labkit.lab.manifest import load_lab
from labkit.proof.sample import sample_class

LAB = "08-twice"


def test_a_changed_flag_makes_everything_again(new_lab_root: Path, tmp_path: Path) -> None:
    """Make itself sees only that files have changed."""
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


def test_a_new_lab_has_a_sample_class(new_lab_root: Path, tmp_path: Path) -> None:
    """Also without accepted solutions."""
    root = Path(shutil.copytree(new_lab_root, tmp_path / "root", symlinks=True))
    names = [path.name for path in sample_class(load_lab(root, LAB))]
    assert names[:2] == ["reference", "skeleton"]
