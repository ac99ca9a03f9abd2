"""Reads untrusted zip and tar archives, member by member.

Nothing is ever extracted: a member's name only decides whether its bytes are read.  Reading is
bounded (bytes of the archive, bytes of a member, number of members, memory of a decompressor), so
that a decompression bomb is rejected early.  Partner: collect.py, which chooses the files.
"""

import bz2
import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Callable, Container, Iterator
from pathlib import PurePosixPath
from typing import BinaryIO, Final, Protocol

from labkit.errors import SubmissionError
from labkit.intake.entries import (
    DIRECTORY,
    FILE,
    MAX_NAME_BYTES,
    Entry,
    mode_kind,
    too_long,
)
from labkit.intake.quoting import printable, quote
from labkit.intake.tar import tar_entries

MAX_ARCHIVE_BYTES: Final = 64 << 20  # read from one archive
MAX_MEMBERS: Final = 10_000
MAX_AT_ONCE: Final = 4 << 20  # in one read: a zip's table of contents
MAX_XZ_MEMORY: Final = 128 << 20  # xz -9 needs 65 MiB
MAX_STREAMS: Final = 1000  # concatenated compressed streams
CHUNK: Final = 64 << 10

# What the standard library raises for bytes that are not a valid archive.
BROKEN: Final = (
    zipfile.BadZipFile,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    EOFError,
    IndexError,
    NotImplementedError,
    OSError,
    OverflowError,
    RecursionError,
    UnicodeError,
    ValueError,
)


def kind_of(head: bytes) -> str | None:
    """The archive format that the first bytes of a file indicate; None for other files."""
    for magic, at, kind in _MAGIC:
        if head[at : at + len(magic)] == magic:
            return kind
    return None


HEAD_BYTES: Final = 512
_MAGIC: Final = (
    (b"ustar", 257, "tar"),  # first: a tar begins with a file name, which may look like the others
    (b"PK\x03\x04", 0, "zip"),
    (b"PK\x05\x06", 0, "zip"),
    (b"\x1f\x8b", 0, "gz"),
    (b"BZh", 0, "bz2"),
    (b"\xfd7zXZ\x00", 0, "xz"),
    (b"Rar!", 0, "rar"),
    (b"7z\xbc\xaf\x27\x1c", 0, "7z"),
)
UNREADABLE: Final = ("rar", "7z")
SUFFIXES: Final = (
    ".zip", ".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz",
    ".rar", ".7z",
)  # fmt: skip


def read_archive(
    file: BinaryIO, *, kind: str, name: str, wanted: Container[str], at_most: int
) -> list[Entry]:
    """Every member of an archive, in order; SubmissionError if the archive is broken.

    Files whose base name is in `wanted` include their content, at most `at_most` bytes of each.
    """
    members = (
        _zip_entries(file, wanted, at_most)
        if kind == "zip"
        else tar_entries(_tar_stream(file, kind), wanted=wanted, at_most=at_most)
    )
    entries: list[Entry] = []
    try:
        for entry in members:
            if len(entries) == MAX_MEMBERS:
                raise SubmissionError(
                    f"{quote(name)} contains more than {MAX_MEMBERS} members: "
                    "pack only the files that the lab asks for"
                )
            if len(entry.path) > MAX_NAME_BYTES:
                raise too_long()
            entries.append(entry)
    except BROKEN as error:
        raise SubmissionError(
            f"{quote(name)} is a broken archive ({_reason(error)}): "
            "pack it again and test it with 'unzip -t' or 'tar -tf'"
        ) from error
    return entries


def _reason(error: BaseException) -> str:
    lines = str(error).splitlines()
    return printable(lines[0]) if lines else type(error).__name__


class _Bounded(io.RawIOBase):
    """A file that limits the bytes of all reads together, and of each read."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._left = MAX_ARCHIVE_BYTES

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        if size > MAX_AT_ONCE:
            raise SubmissionError(
                "the archive's table of contents is too large: "
                "pack only the files that the lab asks for"
            )
        data = self._file.read(size if size >= 0 else MAX_AT_ONCE)
        self._left = spend(self._left, len(data))
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()


def spend(left: int, used: int) -> int:
    """The rest of a budget of bytes; SubmissionError if it is exceeded."""
    if used > left:
        raise SubmissionError(
            f"the archive contains more than {MAX_ARCHIVE_BYTES >> 20} MiB: "
            "pack only the files that the lab asks for"
        )
    return left - used


# ---- zip ------------------------------------------------------------------


def _zip_entries(file: BinaryIO, wanted: Container[str], at_most: int) -> Iterator[Entry]:
    left = MAX_ARCHIVE_BYTES
    with zipfile.ZipFile(_Bounded(file)) as archive:
        for info in archive.infolist():
            path = info.filename.replace("\\", "/")  # zips from Windows
            kind = _zip_kind(info)
            data = b""
            if kind == FILE and PurePosixPath(path).name in wanted:
                _check_zip_member(info)
                with archive.open(info) as member:
                    data = _read_up_to(member, at_most)
                left = spend(left, len(data))
            yield Entry(path=path, kind=kind, data=data)


def _check_zip_member(info: zipfile.ZipInfo) -> None:
    if info.flag_bits & 0x41:  # encrypted, strongly encrypted
        raise SubmissionError(
            f"{quote(info.filename)} is encrypted: pack the archive without a password"
        )
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise SubmissionError(  # other methods cannot be unpacked in bounded steps
            f"{quote(info.filename)} has an unsupported compression method ({info.compress_type}): "
            "pack it with zip's default"
        )


def _zip_kind(info: zipfile.ZipInfo) -> str:
    if info.is_dir():
        return DIRECTORY
    return mode_kind(info.external_attr >> 16)


class _Reads(Protocol):
    def read(self, size: int, /) -> bytes: ...


def _read_up_to(source: _Reads, at_most: int) -> bytes:
    data = bytearray()
    while len(data) < at_most:
        piece = source.read(min(CHUNK, at_most - len(data)))
        if not piece:
            break
        data += piece
    return bytes(data)


# ---- a tar's stream ------------------------------------------------------------------


class _Decompressor(Protocol):
    """What bz2, lzma and _Gunzip have in common."""

    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...
    def decompress(self, data: bytes, max_length: int = -1) -> bytes: ...


class _Gunzip:
    """zlib's decompressor with the interface of the other two."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(wbits=zlib.MAX_WBITS | 16)

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def needs_input(self) -> bool:
        return not self._zlib.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        return self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)


_DECOMPRESSORS: Final[dict[str, Callable[[], _Decompressor]]] = {
    "gz": _Gunzip,
    "bz2": bz2.BZ2Decompressor,
    "xz": lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MAX_XZ_MEMORY),
}


def _tar_stream(file: BinaryIO, kind: str) -> BinaryIO:
    return io.BufferedReader(_TarStream(file, _DECOMPRESSORS.get(kind)), CHUNK)


class _TarStream(io.RawIOBase):
    """A decompressed tar stream, limited by the budget of bytes."""

    def __init__(self, file: BinaryIO, decompressor: Callable[[], _Decompressor] | None) -> None:
        self._file = file
        self._new = decompressor
        self._now = decompressor() if decompressor else None
        self._rest = b""
        self._left = MAX_ARCHIVE_BYTES
        self._streams = 1

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview, /) -> int:  # type: ignore[override]
        """Up to as many bytes as fit; 0 at the end only."""
        size = len(buffer)
        data = self._decompressed(size) if self._now and self._new else self._file.read(size)
        self._left = spend(self._left, len(data))
        buffer[: len(data)] = data
        return len(data)

    def _decompressed(self, size: int) -> bytes:
        assert self._now is not None
        assert self._new is not None
        while True:
            if self._now.eof:  # concatenated streams are one file
                self._rest = self._now.unused_data or self._file.read(CHUNK)
                if not self._rest.strip(b"\0"):
                    return b""
                self._streams += 1
                if self._streams > MAX_STREAMS:
                    raise EOFError("too many concatenated streams")
                self._now = self._new()
            more = self._rest
            if self._now.needs_input and not more:
                more = self._file.read(CHUNK)
                if not more:
                    raise EOFError("unexpected end of file")
            self._rest = b""
            data = self._now.decompress(more, size)
            if data:
                return data
