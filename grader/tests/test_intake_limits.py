"""A hostile archive is refused early, and whatever reads it has limits."""

import faulthandler
import gzip
import io
import os
import signal
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from example import parsed

from labkit.errors import GraderError, SubmissionError
from labkit.intake import archives
from labkit.intake import limited as limited_module
from labkit.intake.archives import read_archive
from labkit.intake.collect import collect
from labkit.intake.entries import MAX_NAME_BYTES, Entry
from labkit.intake.limited import limited
from labkit.intake.tar import MAX_HEADER_BYTES, tar_entries

SOURCE = b"int twice(int x) { return 2 * x; }\n"


def entries(packed: bytes) -> list[Entry]:
    """Every member of a tar, with content."""
    return list(tar_entries(io.BytesIO(packed), wanted=frozenset({"twice.c"}), at_most=1000))


def header(kind: bytes, size: int, *, name: str = "x") -> bytes:
    """The header of a tar member that states this size."""
    info = tarfile.TarInfo(name)
    info.type = kind
    info.size = size
    return info.tobuf(tarfile.GNU_FORMAT)


def described(kind: bytes, data: bytes) -> bytes:
    """A header that describes the next member."""
    return header(kind, len(data)) + data + bytes(-len(data) % 512)


def record(key: bytes, value: bytes) -> bytes:
    """A record of a pax header."""
    size = len(key) + len(value) + 3
    while len(b"%d" % size) + len(key) + len(value) + 3 != size:
        size += 1
    return b"%d %s=%s\n" % (size, key, value)


MEMBER = header(b"0", len(SOURCE), name="twice.c") + SOURCE + bytes(-len(SOURCE) % 512)


# ---- names and headers ------------------------------------------------------


@pytest.mark.parametrize("kind", [b"L", b"K"])
def test_a_long_name_is_refused_before_it_is_read(kind: bytes) -> None:
    """The size in its header is enough: the name itself is not there."""
    with pytest.raises(SubmissionError, match="a name of more than 4096 bytes"):
        entries(header(kind, MAX_NAME_BYTES + 2))


@pytest.mark.parametrize("kind", [b"x", b"g", b"X"])
def test_a_large_pax_header_is_refused_before_it_is_read(kind: bytes) -> None:
    """The size in its header is enough."""
    with pytest.raises(SubmissionError, match="names and headers take more than 8 MiB"):
        entries(header(kind, MAX_HEADER_BYTES))


@pytest.mark.parametrize("describe", [
    lambda name: described(b"L", name + b"\0"),
    lambda name: described(b"x", record(b"path", name)),
    lambda name: described(b"x", record(b"GNU.sparse.name", name)),
])  # fmt: skip
def test_a_name_has_at_most_4096_bytes(describe: Callable[[bytes], bytes]) -> None:
    """As a GNU name and as a pax record."""
    longest = b"n" * MAX_NAME_BYTES
    assert [e.path for e in entries(describe(longest) + MEMBER)] == [longest.decode()]
    with pytest.raises(SubmissionError, match="a name of more than 4096 bytes"):
        entries(describe(longest + b"n") + MEMBER)


def test_a_zip_has_no_longer_names_than_a_tar() -> None:
    """A name in a zip can have 65,535 bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr("n" * (MAX_NAME_BYTES + 1), b"")
    with pytest.raises(SubmissionError, match="a name of more than 4096 bytes"):
        read_archive(buffer, kind="zip", name="x.zip", wanted=frozenset(), at_most=1)


SPARSE = bytearray(header(b"S", 0, name="core"))
SPARSE[482] = 1  # the map goes on
SPARSE[148:156] = b"%06o\0 " % (sum(SPARSE) - sum(SPARSE[148:156]) + 8 * 32)


@pytest.mark.parametrize(
    ("flood", "times"),
    [
        (described(b"L", b"n" * 4000), MAX_HEADER_BYTES // 4000),
        (described(b"x", record(b"k", b"v")), MAX_HEADER_BYTES // 512),
        (described(b"g", record(b"comment", b"v" * 9000)), MAX_HEADER_BYTES // 9000),
    ],
)
def test_a_flood_of_headers_is_refused(flood: bytes, times: int) -> None:
    """Headers that describe one member, or each another one."""
    for packed in (flood * times + MEMBER, (flood + MEMBER) * times):
        with pytest.raises(SubmissionError, match="names and headers take more than 8 MiB"):
            entries(packed)


def test_an_endless_map_of_a_sparse_file_is_refused() -> None:
    """Each block of the map says that another one follows."""
    block = bytes(504) + b"\1" + bytes(7)
    with pytest.raises(SubmissionError, match="names and headers take more than 8 MiB"):
        entries(bytes(SPARSE) + block * (MAX_HEADER_BYTES // 512))


@pytest.mark.parametrize(
    ("packed", "why"),
    [
        (described(b"x", b"7 a=b\n"), "invalid record"),
        (described(b"x", b"5 a=b\n"), "invalid record"),
        (described(b"x", b"99999999999 a=b\n"), "invalid record"),
        (described(b"x", b"nothing"), "invalid record"),
        (described(b"x", record(b"size", b"-1")) + MEMBER, "invalid size"),
        (described(b"x", record(b"size", b"9" * 21)) + MEMBER, "invalid size"),
        (described(b"L", b"name\0"), "unexpected end of file"),
        (described(b"L", b"name\0") + bytes(1024), "unexpected end of file"),
        (header(b"0", 1000), "unexpected end of file"),
        (bytes(SPARSE), "unexpected end of file"),
        (b"", "unexpected end of file"),
        (header(b"0", 0).replace(b"x", b"y"), "wrong checksum"),
        (MEMBER + b"\1" * 512, "invalid number"),
    ],
)
def test_a_damaged_tar_is_called_broken(packed: bytes, why: str) -> None:
    """A member that is described but does not follow, and others."""
    with pytest.raises((ValueError, EOFError), match=why):
        entries(packed)


# ---- the formats that tar writes --------------------------------------------


@pytest.mark.parametrize("form", ["v7", "oldgnu", "gnu", "ustar", "posix"])
def test_what_gnu_tar_packs_is_read(tmp_path: Path, form: str) -> None:
    """Long names, links, a FIFO, a sparse file and a directory, in each of its formats."""
    folder = tmp_path / "lab"
    deep = folder / ("d" * 60 if form in ("v7", "ustar") else "d" * 200)
    deep.mkdir(parents=True)
    (deep / "twice.c").write_bytes(SOURCE)
    (folder / "link").symlink_to("../" * 20)
    os.link(deep / "twice.c", folder / "z-hard")
    with (folder / "core").open("wb") as file:
        for i in range(40):  # holes between them: the map needs several blocks
            file.seek(i << 16)
            file.write(b"x")
    command = ["tar", f"--format={form}", "-cf", str(tmp_path / "x.tar"), "--sort=name"]
    if form != "v7":
        os.mkfifo(folder / "fifo")
    if form not in ("v7", "ustar"):
        command.append("--sparse")
    subprocess.run([*command, "-C", tmp_path, "lab"], check=True)
    found = entries((tmp_path / "x.tar").read_bytes())
    kinds = {e.path.removeprefix("lab/"): e.kind for e in found}
    d = deep.name
    expected = {
        "lab": "directory",
        "core": "sparse file" if "--sparse" in command else "file",
        d: "directory",
        f"{d}/twice.c": "file",
        "link": "symbolic link",
        "z-hard": "hard link to another member",
    }
    assert kinds == expected | ({} if form == "v7" else {"fifo": "FIFO"})
    assert [e.data for e in found if e.data] == [SOURCE]


def test_gnu_tar_keeps_times_where_ustar_keeps_directories() -> None:
    """Bytes 345 to 500 of a header are part of the name in ustar only."""
    for magic, path in ((b"ustar  \0", "twice.c"), (b"ustar\0" + b"00", "12/twice.c")):
        block = bytearray(header(b"0", 0, name="twice.c"))
        block[257:265] = magic
        block[345:347] = b"12"
        block[148:156] = b"%06o\0 " % (sum(block) - sum(block[148:156]) + 8 * 32)
        assert [e.path for e in entries(bytes(block))] == [path]


def test_a_tar_without_its_end_is_read() -> None:
    """The two blocks of zeros, and the padding of the last member, may be missing."""
    assert [e.data for e in entries(header(b"0", len(SOURCE), name="twice.c") + SOURCE)] == [SOURCE]
    assert entries(bytes(512)) == []


# ---- limits -------------------------------------------------------------------


def work_forever() -> bytes:
    """Uses CPU time."""
    while True:
        pass


def test_cpu_time_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """An archive that is not read in time is refused, and says which."""
    monkeypatch.setattr(limited_module, "CPU_SECONDS", 1)
    with pytest.raises(SubmissionError, match="'x' takes more than 1 s to read: pack only"):
        limited(work_forever, what="'x'")


def test_memory_is_limited() -> None:
    """An archive that needs more memory is refused."""
    with pytest.raises(SubmissionError, match="more than 512 MiB of memory to read"):
        limited(lambda: bytes(600 << 20), what="'x'")


def test_no_file_is_written(tmp_path: Path) -> None:
    """Whoever takes over the process that reads an archive writes no file."""
    with pytest.raises(GraderError, match="File too large"):
        limited(lambda: b"%d" % (tmp_path / "x").write_bytes(b"x"), what="'x'")


def end_by(number: int) -> bytes:
    """Ends the process by a signal."""
    faulthandler.disable()  # pytest's
    os.kill(os.getpid(), number)
    return b""


def test_an_archive_that_crashes_its_reader_is_refused() -> None:
    """The fault is in a library, but the archive is the cause."""
    with pytest.raises(SubmissionError, match=r"'x' crashes the program .* \(SIGSEGV\)"):
        limited(lambda: end_by(signal.SIGSEGV), what="'x'")


@pytest.mark.parametrize(
    ("work", "message"),
    [
        (lambda: end_by(signal.SIGKILL), "ended with status -9"),
        (lambda: os.environb[b"no such name"], "KeyError: b.no such name"),
    ],
)
def test_other_ends_are_grader_errors(work: Callable[[], bytes], message: str) -> None:
    """A killed process, or a bug, says nothing about the submission."""
    with pytest.raises(GraderError, match=message):
        limited(work, what="'x'")


def pause() -> bytes:
    """Waits for nothing."""
    signal.pause()
    return b""


def test_a_file_system_that_does_not_answer_is_a_grader_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The reading process is ended and reaped."""
    monkeypatch.setattr(limited_module, "DEADLINE_SECONDS", 0)
    with pytest.raises(GraderError, match="could not be read within 0 s"):
        limited(pause, what="'x'")
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_a_large_reply_arrives() -> None:
    """More than a pipe holds."""
    assert limited(lambda: bytes(5 << 20), what="'x'") == bytes(5 << 20)


def test_collect_reads_in_a_limited_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What crashes there does not end the grader."""
    monkeypatch.setattr(archives, "read_archive", lambda *_, **__: end_by(signal.SIGSEGV))
    (tmp_path / "x.tar.gz").write_bytes(gzip.compress(MEMBER))
    with pytest.raises(SubmissionError, match=r"'x\.tar\.gz' crashes the program"):
        collect(tmp_path / "x.tar.gz", parsed(), tmp_path / "into")
