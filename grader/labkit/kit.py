"""The trusted half of a lab, compiled once: stage, kit programs, test binary.

It does not depend on any submission, so it is kept under build/kit/NN and
made again only when a file that it is made from has changed.
"""

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from labkit import __version__
from labkit.errors import GraderError
from labkit.manifest import Lab

LOADER: Final = Path("/lib64/ld-linux-x86-64.so.2")
DEBUG_FOLDER: Final = Path("/usr/lib/debug")


@dataclass(frozen=True)
class Kit:
    """What is compiled once for a lab, and how submissions are compiled."""

    folder: Path
    version: str  # of the package, and a hash of what the kit is made from
    headers: tuple[Path, ...]
    submission_flags: tuple[str, ...]
    program_flags: tuple[str, ...]

    @property
    def puppet(self) -> Path:
        """The stage: first process of a box, and parent of the puppets."""
        return self.folder / "puppet"

    @property
    def programs(self) -> Path:
        """The folder of the lab's own programs."""
        return self.folder / "programs"

    @property
    def test_graded(self) -> Path:
        """The public and hidden tests in one binary."""
        return self.folder / "test_graded"

    @property
    def debug_symbols(self) -> Path:
        """A small stand-in for /usr/lib/debug; see _debug_symbols()."""
        return self.folder / "debug"


def build_folder(root: Path) -> Path:
    """Where everything that can be made again lies."""
    return Path(os.environ.get("LABKIT_BUILD", root / "build")).resolve()


def build_kit(lab: Lab) -> Kit:
    """The kit of a lab, from the cache or made now; GraderError when it does not compile."""
    folder = build_folder(lab.root) / "kit" / lab.name
    if any(c.isspace() for c in str(folder)):
        raise GraderError(f"{folder} has white space in its name, which make cannot handle")
    version = f"{__version__}+{_fingerprint(lab)}"
    kit = _load(folder, lab, version)
    if kit:
        return kit
    for tool in ("make", "gcc"):
        need_tool(tool)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)  # the hidden tests are in there
        with _locked(folder):
            kit = _load(folder, lab, version)
            return kit or _make(folder, lab, version)
    except OSError as error:
        raise GraderError(f"the kit cannot be built in {folder}: {error}") from error


def need_tool(name: str) -> str:
    """Where a program is; GraderError with the way to mend it when it is missing."""
    path = shutil.which(name)
    if path is None:
        raise GraderError(f"{name} is not installed: run `labkit doctor` for the way to mend it")
    return path


def _fingerprint(lab: Lab) -> str:
    """Changes whenever a file that the kit is made from does; reads no contents."""
    folders = (lab.root / "labs" / "testkit", lab.labdir)
    files = [p for folder in folders for p in folder.iterdir() if p.is_file()]
    files += [lab.root / "labs" / "lab.mk", lab.soldir / "test_hidden.c"]
    gcc = shutil.which("gcc")
    if gcc:
        files.append(Path(gcc).resolve())
    total = hashlib.sha256()
    for path in sorted(files):
        status = path.stat() if path.exists() else None
        about = (status.st_size, status.st_mtime_ns) if status else None
        total.update(f"{path.name}\0{about}\n".encode())
    return total.hexdigest()[:16]


def _load(folder: Path, lab: Lab, version: str) -> Kit | None:
    try:
        stored = json.loads((folder / "kit.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    if stored["version"] != version:
        return None
    return Kit(
        folder=folder,
        version=version,
        headers=tuple(sorted(lab.labdir.glob("*.h"))),
        submission_flags=tuple(stored["submission_flags"]),
        program_flags=tuple(stored["program_flags"]),
    )


def _make(folder: Path, lab: Lab, version: str) -> Kit:
    (folder / "kit.json").unlink(missing_ok=True)
    # make does not see that only a flag has changed
    for stale in (*folder.rglob("*.o"), *(folder / "programs").glob("*")):
        stale.unlink()
    hidden = lab.soldir / "test_hidden.c"
    make(lab, f"BUILD={folder}", "kit")
    make(lab, f"BUILD={folder}", f"HIDDEN={hidden}", "graded")
    _debug_symbols(folder / "debug")
    stored = {
        "version": version,
        "submission_flags": make(lab, "print-submission-flags").split("\n")[:-1],
        "program_flags": make(lab, "print-program-flags").split("\n")[:-1],
    }
    new = folder / "kit.json.new"
    new.write_text(json.dumps(stored, indent=1), encoding="utf-8")
    new.rename(folder / "kit.json")
    kit = _load(folder, lab, version)
    if kit is None:
        raise GraderError(f"{folder / 'kit.json'} cannot be read back")
    return kit


def make(lab: Lab, *words: str) -> str:
    """What `make` in the lab's folder prints; GraderError when it fails."""
    env = {k: v for k, v in os.environ.items() if k not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")}
    done = subprocess.run(
        ["make", "-s", "--no-print-directory", "-C", str(lab.labdir), *words],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        env=env | {"LC_ALL": "C"},
        check=False,
    )
    if done.returncode:
        raise GraderError(f"make {words[-1]} failed in {lab.labdir}:\n{done.stderr[-4000:]}")
    return done.stdout


def _debug_symbols(folder: Path) -> None:
    """A folder to show as /usr/lib/debug with the loader's symbol table and no more.

    Memcheck must find a few functions of ld.so, and half of its start goes
    into reading libc's debug information, of which it needs nothing.
    """
    shutil.rmtree(folder, ignore_errors=True)
    if not (LOADER.exists() and shutil.which("readelf") and shutil.which("objcopy")):
        return
    notes = subprocess.run(["readelf", "-n", LOADER], capture_output=True, text=True, check=True)
    found = re.search(r"Build ID: ([0-9a-f]{2})([0-9a-f]+)", notes.stdout)
    if found is None:
        return
    name = Path(".build-id", found[1], f"{found[2]}.debug")
    if not (DEBUG_FOLDER / name).exists():
        return
    (folder / name).parent.mkdir(parents=True)
    argv = ["objcopy", "--strip-debug", str(DEBUG_FOLDER / name), str(folder / name)]
    subprocess.run(argv, capture_output=True, check=True)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    with (folder / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
