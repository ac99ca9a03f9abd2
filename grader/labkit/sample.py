"""A class to try the grader on, made from what the repository holds.

Reference (also as a zip and as a tar.gz), skeleton, every accepted solution,
every broken version, of which one should hang, and one that does not compile.
"""

import shutil
import tarfile
import zipfile
from pathlib import Path

from labkit.inspection import accepted_folders
from labkit.kit import build_folder
from labkit.manifest import Lab
from labkit.mutants import load_mutant, mutant_paths, write_mutant
from labkit.skeleton import write_accepted, write_reference


def sample_class(lab: Lab) -> tuple[Path, ...]:
    """Writes the class under build/sample/NN; the submissions in order."""
    folder = build_folder(lab.root) / "sample" / lab.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    reference = folder / "reference"
    write_reference(lab, reference)
    made = [reference, _copy(lab, lab.labdir, folder / "skeleton")]
    for path in accepted_folders(lab):
        made.append(folder / f"accepted {path.name}")
        write_accepted(lab, path, made[-1])
    for patch in mutant_paths(lab):
        mutant = load_mutant(patch, lab)
        made.append(folder / f"broken {mutant.name}")
        write_mutant(mutant, lab, made[-1])
    made += [_zip(lab, reference), _tar(lab, reference)]
    made.append(_copy(lab, reference, folder / "does not compile"))
    with (made[-1] / lab.files[0]).open("a", encoding="utf-8") as file:
        file.write("\nint half_a_function(void) {\n")
    return tuple(made)


def _copy(lab: Lab, source: Path, folder: Path) -> Path:
    folder.mkdir()
    for name in lab.files:
        shutil.copyfile(source / name, folder / name)
    return folder


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
