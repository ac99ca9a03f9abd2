"""A class to try the grader on, made from what the repository holds.

Reference, skeleton, every broken version and accepted solution, one of them
as a zip and one as a tar.gz, one that does not compile and one that hangs.
"""

import shutil
import tarfile
import zipfile
from pathlib import Path
from typing import Final

from labkit.kit import build_folder
from labkit.manifest import Lab
from labkit.mutants import load_mutant, mutant_paths, write_mutant
from labkit.skeleton import write_reference

# Runs when the submission is loaded, so that no lab needs a version of its own.
HANG: Final = (
    "\n__attribute__((constructor)) static void hang(void)\n{\n    for (;;)\n        ;\n}\n"
)


def sample_class(lab: Lab) -> tuple[Path, ...]:
    """Writes the class under build/sample/NN; the submissions in order."""
    folder = build_folder(lab.root) / "sample" / lab.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    reference = folder / "reference"
    write_reference(lab, reference)
    made = [reference, _copy(lab, lab.labdir, folder / "skeleton")]
    for path in sorted((lab.soldir / "accepted").iterdir()):
        made.append(_copy(lab, path, folder / f"accepted {path.name}"))
    for patch in mutant_paths(lab):
        mutant = load_mutant(patch, lab)
        made.append(folder / f"broken {mutant.name}")
        write_mutant(mutant, lab, made[-1])
    made += [_zip(lab, reference), _tar(lab, reference)]
    no_compile = _copy(lab, reference, folder / "does not compile")
    _append(no_compile / lab.files[0], "\nint half_a_function(void) {\n")
    hangs = _copy(lab, reference, folder / "hangs")
    _append(hangs / lab.files[0], HANG)
    return (*made, no_compile, hangs)


def _copy(lab: Lab, source: Path, folder: Path) -> Path:
    folder.mkdir()
    for name in lab.files:
        shutil.copyfile(source / name, folder / name)
    return folder


def _append(path: Path, text: str) -> None:
    path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")


def _zip(lab: Lab, folder: Path) -> Path:
    path = folder.with_name("reference as zip.zip")
    with zipfile.ZipFile(path, "w") as archive:
        for name in lab.files:
            archive.write(folder / name, name)
    return path


def _tar(lab: Lab, folder: Path) -> Path:
    path = folder.with_name("reference as tar.tar.gz")
    with tarfile.open(path, "w:gz") as archive:
        for name in lab.files:
            archive.add(folder / name, name)
    return path
