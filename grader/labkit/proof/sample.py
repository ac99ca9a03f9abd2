"""A sample class, generated from the repository, to try the grader.

The small class has about ten submissions: the reference (also as an archive), the skeleton, the
broken versions that lab.toml names for it, including one that hangs, and a submission that does not
compile.  The large class has every accepted solution and every broken version.
"""

import shutil
import tarfile
import zipfile
from pathlib import Path

from labkit.lab.kit import build_folder
from labkit.lab.manifest import Lab
from labkit.lab.skeleton import write_accepted, write_reference
from labkit.proof.broken import broken_paths, load_broken, write_broken
from labkit.proof.inspection import accepted_folders


def sample_class(lab: Lab, *, everything: bool = False) -> tuple[Path, ...]:
    """Writes the class under build/sample/NN; returns the submissions in order."""
    folder = build_folder(lab.root) / "sample" / lab.name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    reference = folder / "reference"
    write_reference(lab, reference)
    made = [reference, _zip(lab, reference), _copy(lab, lab.labdir, folder / "skeleton")]
    if everything:
        made.append(_tar(lab, reference))
        for path in accepted_folders(lab):
            made.append(folder / f"accepted {path.name}")
            write_accepted(lab, path, made[-1])
    chosen = {*lab.sample.broken, lab.sample.hangs}
    for patch in broken_paths(lab):
        if everything or patch.stem in chosen:
            version = load_broken(patch, lab)
            kind = "hangs" if version.name == lab.sample.hangs else "broken"
            made.append(folder / f"{kind} {version.name}")
            write_broken(version, lab, made[-1])
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
