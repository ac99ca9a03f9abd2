"""The lab that the hostile submissions of grader/attacks pretend to solve."""

import shutil
from pathlib import Path
from typing import Final

from labkit.lab.manifest import Lab, load_lab
from labkit.lab.skeleton import preprocessed

REPOSITORY: Final = Path(__file__).parents[2]
ATTACKS: Final = REPOSITORY / "grader/attacks"
TARGET: Final = "00-target"
HANDED_OUT: Final = ("Makefile", "target.h", "stubs.c", "test_public.c")
KEPT_BACK: Final = ("lab.toml", "target.c", "test_hidden.c")


def make_target(root: Path) -> Lab:
    """Makes a repository with that lab alone, and links to the test kit."""
    labdir, soldir = root / "labs" / TARGET, root / "solutions" / TARGET
    labdir.mkdir(parents=True)
    soldir.mkdir(parents=True)
    for name in ("lab.mk", "testkit"):
        (root / "labs" / name).symlink_to(REPOSITORY / "labs" / name)
    for name in HANDED_OUT:
        shutil.copy2(ATTACKS / "target" / name, labdir)
    for name in KEPT_BACK:
        shutil.copy2(ATTACKS / "target" / name, soldir)
    (labdir / "target.c").write_text(preprocessed(soldir / "target.c", solution=False))
    return load_lab(root, TARGET)
