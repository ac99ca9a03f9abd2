"""Copies the files that the lab lists, and no others, out of a submission.

A submission is a directory, one file, or an archive; its files may lie in a subdirectory.  Only
regular files are copied, no link is followed, and no name in a submission decides where a file is
written.  Everything is read in a process with limits.  Partners: archives.py, which reads zip and
tar, and limited.py.
"""

import os
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final

import msgspec

from labkit.errors import GraderError, SubmissionError
from labkit.hashing import contents_hash
from labkit.intake.entries import DIRECTORY, FILE, Entry, mode_kind
from labkit.intake.limited import limited
from labkit.intake.quoting import escaped, quote, quote_all, quote_path
from labkit.lab.manifest import Lab
from labkit.result import SubmissionInfo

MAX_FILE_BYTES: Final = 1 << 20  # of one file
MAX_ENTRIES: Final = 10_000  # of a submitted directory
MAX_DEPTH: Final = 5  # of nested directories

_READ: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def collect(source: Path, lab: Lab, into: Path) -> SubmissionInfo:
    """Copies the lab's files out of a submission; SubmissionError says how to fix it."""
    reply = limited(lambda: _read(source, lab), what=quote(source.name))
    taken = msgspec.msgpack.decode(reply, type=_Taken)
    contents = dict(zip(lab.files, taken.contents, strict=True))
    _write(contents, into)
    return SubmissionInfo(
        name=submission_name(source),
        files=tuple(contents),
        hash=contents_hash(contents),
        notes=taken.notes,
    )


# ---- reading a submission, in a limited process -----------------------------


class _Taken(msgspec.Struct, frozen=True):
    """What is taken from a submission; the names are the lab's, in its order."""

    contents: tuple[bytes, ...]
    notes: tuple[str, ...]


def _read(source: Path, lab: Lab) -> bytes:
    with _open(source) as (fd, mode):
        if stat.S_ISDIR(mode):
            entries = list(islice(_folder_entries(fd), MAX_ENTRIES + 1))
            if len(entries) > MAX_ENTRIES:
                raise SubmissionError(
                    f"{quote_path(str(source))} contains more than {MAX_ENTRIES} files: "
                    "hand in only the files that the lab asks for"
                )
            found = _choose(entries, lab=lab, where=f"the directory {quote(source.name)}")
            contents = {name: _read_at(fd, entry) for name, entry in found.entries.items()}
        elif stat.S_ISREG(mode):
            with os.fdopen(os.dup(fd), "rb") as file:
                found = _from_file(file, source.name, lab=lab)
            contents = {name: entry.data for name, entry in found.entries.items()}
        else:
            raise SubmissionError(
                f"{quote_path(str(source))} is a {mode_kind(mode)}: "
                "give a directory, a file or an archive"
            )
    for name, content in contents.items():
        _check_size(name, len(content))
    return msgspec.msgpack.encode(
        _Taken(contents=tuple(contents[name] for name in lab.files), notes=found.notes)
    )


@contextmanager
def _open(source: Path) -> Iterator[tuple[int, int]]:
    """Opens a submission: its descriptor and mode.  A link on the command line is followed."""
    try:
        fd = os.open(source, _READ)
    except FileNotFoundError as error:
        raise SubmissionError(
            f"{quote_path(str(source))} does not exist: give a directory, a file or an archive"
        ) from error
    except (OSError, ValueError) as error:
        raise _unreadable(quote_path(str(source)), error) from error
    try:
        yield fd, os.fstat(fd).st_mode
    finally:
        os.close(fd)


def _unreadable(quoted: str, error: OSError | ValueError) -> SubmissionError:
    why = (error.strerror if isinstance(error, OSError) else None) or str(error)
    return SubmissionError(f"{quoted} cannot be read: {why.lower()}")


def _folder_entries(fd: int, *, above: str = "", depth: int = 0) -> Iterator[Entry]:
    """The entries of an open directory and its subdirectories; links are not followed."""
    with os.scandir(fd) as scan:
        found = sorted(islice(scan, MAX_ENTRIES + 1), key=lambda e: e.name)
    for item in found:
        path = above + item.name
        kind = mode_kind(item.stat(follow_symlinks=False).st_mode)
        yield Entry(path=path, kind=kind)
        if kind == DIRECTORY and depth < MAX_DEPTH and not _is_litter(item.name):
            with _open_at(fd, item.name, os.O_DIRECTORY) as inner:
                yield from _folder_entries(inner, above=path + "/", depth=depth + 1)


@contextmanager
def _open_at(fd: int, name: str, flags: int) -> Iterator[int]:
    try:
        opened = os.open(name, _READ | os.O_NOFOLLOW | flags, dir_fd=fd)
    except OSError as error:
        raise _unreadable(quote(name), error) from error
    try:
        yield opened
    finally:
        os.close(opened)


def _read_at(fd: int, entry: Entry) -> bytes:
    """Reads a file below an open directory; opens one component of its path at a time."""
    first, _, rest = entry.path.partition("/")
    if rest:
        with _open_at(fd, first, os.O_DIRECTORY) as inner:
            return _read_at(inner, Entry(path=rest, kind=entry.kind))
    with _open_at(fd, first, 0) as opened:
        status = os.fstat(opened)
        if not stat.S_ISREG(status.st_mode):
            raise _wrong_kind(first, mode_kind(status.st_mode))
        _check_size(first, status.st_size)
        with os.fdopen(os.dup(opened), "rb") as file:
            return file.read(MAX_FILE_BYTES + 1)


def _check_size(name: str, size: int) -> None:
    if size > MAX_FILE_BYTES:
        raise SubmissionError(
            f"{quote(name)} is too large (over {MAX_FILE_BYTES >> 20} MiB): "
            "hand in your source code only"
        )


def _wrong_kind(name: str, kind: str) -> SubmissionError:
    return SubmissionError(f"{quote(name)} is a {kind}: hand in the file itself")


# ---- choosing the files ---------------------------------------------------


@dataclass(frozen=True)
class _Found:
    """The entries to copy, by the lab's names for them."""

    entries: Mapping[str, Entry]
    notes: tuple[str, ...]


def _from_file(file: BinaryIO, name: str, *, lab: Lab) -> _Found:
    """A submission that is one file: an archive, or the source itself."""
    from labkit.intake import archives  # only when needed: a third of the start-up time

    kind = archives.kind_of(file.read(archives.HEAD_BYTES))
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if kind is None and not name.lower().endswith(archives.SUFFIXES):
        _check_size(name, size)
        return _single(Entry(path=name, kind=FILE, data=file.read(MAX_FILE_BYTES + 1)), lab=lab)
    if kind is None or kind in archives.UNREADABLE:
        what = "not a readable archive" if kind is None else f"a {kind} archive"
        raise SubmissionError(f"{quote(name)} is {what}: hand in a .zip or a .tar.gz")
    if size > archives.MAX_ARCHIVE_BYTES:
        raise SubmissionError(
            f"{quote(name)} is too large ({size >> 20} MiB): "
            "pack only the files that the lab asks for"
        )
    entries = archives.read_archive(
        file, kind=kind, name=name, wanted=frozenset(lab.files), at_most=MAX_FILE_BYTES + 1
    )
    return _choose(entries, lab=lab, where=f"the archive {quote(name)}")


def _single(entry: Entry, *, lab: Lab) -> _Found:
    """A submission of one source file; any name will do if the lab asks for only one file."""
    [expected, *more] = lab.files
    if not more and PurePosixPath(entry.path).suffix == PurePosixPath(expected).suffix:
        renamed = () if entry.path == expected else (f"{quote(entry.path)} taken as {expected}",)
        return _Found({expected: entry}, renamed)
    return _choose([entry], lab=lab, where=f"the file {quote(entry.path)}")


def _choose(entries: list[Entry], *, lab: Lab, where: str) -> _Found:
    """Chooses the lab's files among the entries; all must lie in one directory."""
    useful = [e for e in entries if not _is_litter(*PurePosixPath(e.path).parts)]
    if not useful:
        raise SubmissionError(f"{where} is empty: the lab asks for {quote_all(lab.files)}")
    inside = [e for e in useful if _is_inside(e.path)]
    folder = _folder(inside, lab=lab, where=where)
    here = [e for e in inside if PurePosixPath(e.path).parent == folder]
    taken = {}
    for name in lab.files:
        same = [e for e in here if PurePosixPath(e.path).name == name]
        if not same:
            raise _missing_file(name, useful, lab=lab, where=where, folder=folder)
        if len(same) > 1:
            raise SubmissionError(f"{where} contains {quote(name)} {len(same)} times: pack it once")
        if same[0].kind != FILE:
            raise _wrong_kind(same[0].path, same[0].kind)
        taken[name] = same[0]
    return _Found(taken, tuple(_notes(useful, taken, folder)))


def _is_litter(*parts: str) -> bool:
    """Whether file managers or git have added an entry."""
    return any(p == "__MACOSX" or (p.startswith(".") and p != "..") for p in parts)


def _is_inside(path: str) -> bool:
    pure = PurePosixPath(path)
    return not pure.is_absolute() and ".." not in pure.parts


def _folder(entries: list[Entry], *, lab: Lab, where: str) -> PurePosixPath:
    """The topmost directory with files of the lab or, if there is none, with their names."""
    named = [e for e in entries if PurePosixPath(e.path).name in lab.files]
    best = [e for e in named if e.kind == FILE] or named
    folders = {PurePosixPath(e.path).parent for e in best} or {PurePosixPath()}
    depth = min(len(f.parts) for f in folders)
    top = sorted(str(f) for f in folders if len(f.parts) == depth)
    if len(top) > 1:
        raise SubmissionError(
            f"{where} contains the files of the lab more than once, in {quote_all(top)}: "
            "hand in one of them"
        )
    return PurePosixPath(top[0])


def _missing_file(
    name: str, entries: list[Entry], *, lab: Lab, where: str, folder: PurePosixPath
) -> SubmissionError:
    place = where if folder == PurePosixPath() else f"{quote(str(folder))} in {where}"
    found = quote_all(e.path for e in entries if e.kind != DIRECTORY) or "directories only"
    needed = "" if len(lab.files) == 1 else f"; the lab asks for {quote_all(lab.files)}"
    return SubmissionError(f"{place} lacks {quote(name)}; found: {found}{needed}")


def _notes(entries: list[Entry], taken: Mapping[str, Entry], folder: PurePosixPath) -> list[str]:
    notes = []
    if folder != PurePosixPath():
        notes.append(f"taken from the directory {quote(str(folder))}")
    ignored = [e.path for e in entries if e.kind != DIRECTORY and e not in taken.values()]
    if ignored:
        notes.append(f"ignored: {quote_all(ignored)}")
    return notes


# ---- writing the copy -----------------------------------------------------


def _write(contents: Mapping[str, bytes], into: Path) -> None:
    try:
        into.mkdir(parents=True, exist_ok=True)
        for name, content in contents.items():
            with (into / name).open("xb") as file:
                file.write(content)
    except OSError as error:
        raise GraderError(f"cannot write to {into}: {error.strerror}") from error


def submission_name(source: Path) -> str:
    """The name of a submission: its file name, without the suffix of an archive.

    It is one line, never empty, and never leads to another directory.
    """
    name = source.name if source.name not in ("", "..") else source.resolve().name
    for suffix in (".tar.gz", ".tar.bz2", ".tar.xz", ".tgz", ".tbz2", ".txz", ".tar", ".zip"):
        if name.lower().endswith(suffix) and len(name) > len(suffix):
            name = name[: -len(suffix)]
            break
    return escaped(name) or "submission"
