"""The trusted half of a lab, compiled once: puppet, given programs, test binary.

It does not depend on any submission, so it is kept under build/kit/NN and compiled again only when
a file that it is made from has changed.  Its version is a hash of those files' contents.
"""

import fcntl
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from labkit import __version__
from labkit.errors import GraderError, ManifestError
from labkit.hashing import contents_hash
from labkit.lab.manifest import Lab
from labkit.lab.sources import make
from labkit.tools import need_tool

LOADER: Final = Path("/lib64/ld-linux-x86-64.so.2")
DEBUG_FOLDER: Final = Path("/usr/lib/debug")
PUBLIC_TESTS: Final = "test_public.c"
HIDDEN_TESTS: Final = "test_hidden*.c"
LIST_SECONDS: Final = 10


@dataclass(frozen=True)
class ListedTest:
    """A test as the test binary lists it."""

    name: str
    rule: str
    public: bool


@dataclass(frozen=True)
class Kit:
    """What is compiled once for a lab, and how submissions are compiled."""

    folder: Path
    version: str  # of the package, and a hash of the kit's sources
    compiler: str  # its name and version
    headers: tuple[Path, ...]
    given: tuple[Path, ...]  # sources that are linked into submission.so
    submission_flags: tuple[str, ...]
    program_flags: tuple[str, ...]
    memcheck_flags: tuple[str, ...]  # of Valgrind's leak check
    valgrind_factor: int  # by which the time limits are multiplied under Valgrind
    tests: tuple[ListedTest, ...]

    @property
    def puppet(self) -> Path:
        """The fork server: first process of a sandbox, and parent of the puppets."""
        return self.folder / "puppet"

    @property
    def programs(self) -> Path:
        """The directory of the given programs."""
        return self.folder / "programs"

    @property
    def test_graded(self) -> Path:
        """The public and hidden tests in one binary."""
        return self.folder / "test_graded"

    @property
    def debug_symbols(self) -> Path:
        """A small replacement for /usr/lib/debug; see _debug_symbols()."""
        return self.folder / "debug"


def build_folder(root: Path) -> Path:
    """The directory of all generated files."""
    return Path(os.environ.get("LABKIT_BUILD", root / "build")).resolve()


def build_kit(lab: Lab) -> Kit:
    """The kit of a lab, from the cache or newly compiled; GraderError if it does not compile."""
    folder = build_folder(lab.root) / "kit" / lab.name
    if any(c.isspace() for c in str(folder)):
        raise GraderError(f"{folder} has white space in its name, which make cannot handle")
    gcc = Path(need_tool("gcc")).resolve()
    version = f"{__version__}+{files_hash(kit_files(lab), lab.root)[:16]}"
    stamp = f"{version} {gcc} {gcc.stat().st_mtime_ns}"
    kit = _load(folder, lab, stamp)
    if kit is None:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)  # it contains the hidden tests
            with _locked(folder):
                kit = _load(folder, lab, stamp) or _make(folder, lab, version=version, stamp=stamp)
        except OSError as error:
            raise GraderError(f"the kit cannot be built in {folder}: {error}") from error
    _check_tests(lab, kit)
    return kit


def kit_files(lab: Lab) -> tuple[Path, ...]:
    """The sources of the kit, in the order of their names."""
    testkit = lab.root / "labs" / "testkit"
    files = [*testkit.rglob("*.[ch]"), lab.root / "labs" / "lab.mk", lab.labdir / "Makefile"]
    files += [p for p in lab.labdir.glob("*.[ch]") if p.name not in lab.files]
    return (*sorted(files), *sorted(lab.soldir.glob("test_hidden*.[ch]")))


def files_hash(files: Iterable[Path], root: Path) -> str:
    """A hash of contents and names below `root`: equal on every checkout of one commit."""
    return contents_hash({str(path.relative_to(root)): path.read_bytes() for path in files})


def _load(folder: Path, lab: Lab, stamp: str) -> Kit | None:
    try:
        stored = json.loads((folder / "kit.json").read_text(encoding="utf-8"))
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    if stored.pop("stamp", None) != stamp:
        return None
    return Kit(
        folder=folder,
        version=stored["version"],
        compiler=stored["compiler"],
        headers=tuple(sorted(lab.labdir.glob("*.h"))),
        given=tuple(lab.labdir / name for name in lab.sources.given),
        submission_flags=tuple(stored["submission_flags"]),
        program_flags=tuple(stored["program_flags"]),
        memcheck_flags=tuple(stored["memcheck_flags"]),
        valgrind_factor=stored["valgrind_factor"],
        tests=tuple(ListedTest(**test) for test in stored["tests"]),
    )


def _make(folder: Path, lab: Lab, *, version: str, stamp: str) -> Kit:
    (folder / "kit.json").unlink(missing_ok=True)
    # make does not notice changed flags
    for stale in (*folder.rglob("*.o"), *(folder / "programs").glob("*")):
        stale.unlink()
    hidden = sorted(lab.soldir.glob(HIDDEN_TESTS))
    make(lab.labdir, f"BUILD={folder}", "kit")
    make(lab.labdir, f"BUILD={folder}", f"HIDDEN={' '.join(map(str, hidden))}", "graded")
    _debug_symbols(folder / "debug")
    stored = {
        "version": version,
        "stamp": stamp,
        "compiler": _output("gcc", "--version").partition("\n")[0],
        "submission_flags": _printed(lab, "submission-flags"),
        "program_flags": _printed(lab, "program-flags"),
        "memcheck_flags": _printed(lab, "memcheck-flags"),
        "valgrind_factor": int(_printed(lab, "valgrind-factor")[0]),
        "tests": [asdict(test) for test in _list_tests(folder / "test_graded")],
    }
    new = folder / "kit.json.new"
    new.write_text(json.dumps(stored, indent=1), encoding="utf-8")
    new.rename(folder / "kit.json")
    kit = _load(folder, lab, stamp)
    if kit is None:
        raise GraderError(f"{folder / 'kit.json'} cannot be read back")
    return kit


def _printed(lab: Lab, what: str) -> list[str]:
    """The values that a target of labs/lab.mk prints, one per line."""
    return make(lab.labdir, f"print-{what}").splitlines()


def _list_tests(binary: Path) -> Iterator[ListedTest]:
    """The tests that the test binary lists: a line for each, with file, name and rule."""
    for line in _output(str(binary), "--list").splitlines():
        file, name, rule = line.split("\t", maxsplit=2)
        yield ListedTest(name=name, rule=rule, public=Path(file).name == PUBLIC_TESTS)


def _output(*argv: str) -> str:
    try:
        done = subprocess.run(
            argv, capture_output=True, text=True, timeout=LIST_SECONDS, check=True
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise GraderError(f"{' '.join(argv)}: {error}") from error
    return done.stdout


def _check_tests(lab: Lab, kit: Kit) -> None:
    """Raises ManifestError unless the C tests are exactly the tests of lab.toml."""
    in_c = [test.name for test in kit.tests]
    in_toml = {test.name for test in lab.tests}
    where = f"{lab.manifest_path}: test"
    for name in in_c:
        if name not in in_toml:
            raise ManifestError(f"{where}: the C test {name!r} has no entry")
        if in_c.count(name) > 1:
            raise ManifestError(
                f"{where}[{name}]: there are {in_c.count(name)} C tests of this name"
            )
    for test in lab.tests:
        if test.name not in in_c:
            raise ManifestError(f"{where}[{test.name}]: there is no C test of this name")


def _debug_symbols(folder: Path) -> None:
    """Creates a replacement for /usr/lib/debug with only the symbol table of the loader.

    Memcheck must find a few functions of ld.so.  It does not need libc's debug information, and
    reading that takes half of its start-up time.
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
