"""Reads a tar stream, header by header: v7, ustar, GNU and pax.

Python's tarfile holds a long name, a pax header or the map of a sparse file in memory whatever its
size, and parses some of them in quadratic time.  Here each header is bounded before it is read, and
time is linear.  Partner: archives.py, which bounds the stream and compares the names.
"""

import re
from collections.abc import Container, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import BinaryIO, Final

from labkit.errors import SubmissionError
from labkit.intake.entries import DIRECTORY, FILE, MAX_NAME_BYTES, Entry, too_long

BLOCK: Final = 512
MAX_HEADER_BYTES: Final = 8 << 20  # of all long names, pax headers and sparse maps together
CHUNK: Final = 64 << 10

_LENGTH: Final = re.compile(rb"([1-9][0-9]{0,7}) ")  # of a pax record
_LONG_NAMES: Final = (b"L", b"K")  # of the next member, of its link
_PAX: Final = (b"x", b"X")
_PAX_GLOBAL: Final = b"g"
_SPARSE: Final = b"S"
_WITHOUT_DATA: Final = (b"1", b"2", b"3", b"4", b"5", b"6")  # whatever size they state
_KINDS: Final = {
    b"\0": FILE,
    b"0": FILE,
    b"1": "hard link to another member",
    b"2": "symbolic link",
    b"3": "device",
    b"4": "device",
    b"5": DIRECTORY,
    b"6": "FIFO",
    b"7": FILE,
    _SPARSE: "sparse file",
}


def tar_entries(file: BinaryIO, *, wanted: Container[str], at_most: int) -> Iterator[Entry]:
    """Every member; ValueError or EOFError if the stream is not a valid tar.

    Files whose base name is in `wanted` include their content, at most `at_most` bytes of each.
    """
    reader = _Reader(file)
    while member := reader.next_member():
        data = b""
        if member.kind == FILE and PurePosixPath(member.path).name in wanted:
            data = reader.exactly(min(member.size, at_most))
        reader.skip(member.size - len(data))
        reader.skip_padding(member.size)
        yield Entry(path=member.path, kind=member.kind, data=data)


@dataclass(frozen=True)
class _Header:
    """One block: what it says of a member, or of the header that follows it."""

    name: bytes
    type: bytes
    size: int
    more: bool  # the map of a sparse file goes on in the next block


@dataclass(frozen=True)
class _Member:
    path: str
    kind: str
    size: int  # of its data in the stream


class _Reader:
    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._header_bytes_left = MAX_HEADER_BYTES
        self._at_start = True

    def next_member(self) -> _Member | None:
        """The next member with the headers in front of it; None at the end of the archive."""
        long_name: bytes | None = None
        pax: dict[bytes, bytes] = {}
        while True:
            header = self._next_header(inside=long_name is not None or bool(pax))
            if header is None:
                return None
            if header.type in _LONG_NAMES:
                if header.size > MAX_NAME_BYTES + 1:
                    raise too_long()
                name = self._extra(header)
                long_name = name.split(b"\0")[0] if header.type == b"L" else long_name
            elif header.type in _PAX:
                pax |= _pax_records(self._extra(header))
            elif header.type == _PAX_GLOBAL:
                self._extra(header)
            else:
                return self._member(header, long_name=long_name, pax=pax)

    def _member(
        self, header: _Header, *, long_name: bytes | None, pax: dict[bytes, bytes]
    ) -> _Member:
        while header.more:
            self._spend(BLOCK)
            header = _Header(header.name, header.type, header.size, self.exactly(BLOCK)[504] != 0)
        name = pax.get(b"path", header.name if long_name is None else long_name)
        name = pax.get(b"GNU.sparse.name", name)
        if len(name) > MAX_NAME_BYTES:
            raise too_long()
        kind = _KINDS.get(header.type, "special file")
        if header.type == b"\0" and name.endswith(b"/"):  # v7 has no type for directories
            kind = DIRECTORY
        if any(key.startswith(b"GNU.sparse.") for key in pax):
            kind = _KINDS[_SPARSE]
        size = _decimal(pax[b"size"]) if b"size" in pax else header.size
        return _Member(
            path=name.decode("utf-8", "surrogateescape").rstrip("/" if kind == DIRECTORY else ""),
            kind=kind,
            size=0 if header.type in _WITHOUT_DATA else size,
        )

    def _next_header(self, *, inside: bool) -> _Header | None:
        block = self._file.read(BLOCK)
        at_end = block == bytes(BLOCK) or not (block or self._at_start)
        if at_end and not inside:
            return None
        if at_end or len(block) < BLOCK:
            raise EOFError("unexpected end of file")
        self._at_start = False
        return _header(block)

    def _extra(self, header: _Header) -> bytes:
        """The data of a header that describes the next member."""
        self._spend(BLOCK + header.size)
        data = self.exactly(header.size)
        self.skip_padding(header.size)
        return data

    def _spend(self, used: int) -> None:
        if used > self._header_bytes_left:
            raise SubmissionError(
                f"the archive's names and headers take more than {MAX_HEADER_BYTES >> 20} MiB: "
                "pack only the files that the lab asks for"
            )
        self._header_bytes_left -= used

    # ---- bytes of the stream ----

    def exactly(self, size: int) -> bytes:
        data = self._file.read(size)
        if len(data) < size:
            raise EOFError("unexpected end of file")
        return data

    def skip(self, size: int) -> None:
        while size > 0:
            size -= len(self.exactly(min(size, CHUNK)))

    def skip_padding(self, size: int) -> None:
        """Reads up to the next block; the last member's padding may be missing."""
        self._file.read(-size % BLOCK)


def _header(block: bytes) -> _Header:
    stated = _number(block[148:156])
    unsigned = sum(block) - sum(block[148:156]) + 8 * ord(" ")
    signed = unsigned - 256 * sum(b > 127 for b in block[:148] + block[156:])
    if stated not in (unsigned, signed):
        raise ValueError("a header has a wrong checksum")
    kind = block[156:157]
    name = block[:100].split(b"\0")[0]
    if block[257:263] == b"ustar\0":  # GNU tar uses this place in another way
        prefix = block[345:500].split(b"\0")[0]
        name = prefix + b"/" + name if prefix else name
    return _Header(
        name=name,
        type=kind,
        size=_number(block[124:136]),
        more=kind == _SPARSE and block[482] != 0,
    )


def _number(field: bytes) -> int:
    """A number of a header: octal digits or, for large ones, base 256."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    digits = field.split(b"\0")[0].strip()
    if digits and not digits.isdigit():
        raise ValueError("a header has an invalid number")
    return int(digits or b"0", 8)


def _decimal(text: bytes) -> int:
    if not text.isdigit() or len(text) > 20:
        raise ValueError("a pax header has an invalid size")
    return int(text)


def _pax_records(data: bytes) -> dict[bytes, bytes]:
    r"""The records "LENGTH KEY=VALUE\n" of a pax header; LENGTH counts the whole record."""
    records = {}
    at = 0
    while at < len(data) and data[at]:
        length = _LENGTH.match(data, at)
        if length is None:
            raise ValueError("a pax header has an invalid record")
        end = at + int(length[1])
        key, equals, value = data[length.end() : end].partition(b"=")
        if end > len(data) or not equals or not value.endswith(b"\n"):
            raise ValueError("a pax header has an invalid record")
        records[key] = value[:-1]
        at = end
    return records
