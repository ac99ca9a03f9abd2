"""A submission yields the lab's files and nothing else, or a clear error."""

import bz2
import gzip
import io
import lzma
import os
import socket
import stat
import tarfile
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labkit.batch import MAX_NAME_BYTES, result_folder
from labkit.errors import GraderError, SubmissionError
from labkit.hashing import contents_hash
from labkit.intake.archives import MAX_ARCHIVE_BYTES
from labkit.intake.collect import MAX_FILE_BYTES, collect, submission_name
from labkit.intake.quoting import printable, quote_all
from labkit.lab.manifest import Lab
from labkit.lab.sources import Sources
from labkit.limits import Limits
from labkit.result import SubmissionInfo

SOURCE = b"int answer(void) { return 42; }\n"
SOURCES = {"main.c": b"int main(void) { return 0; }\n", "pipeline.c": SOURCE}


def make_lab(*files: str) -> Lab:
    """A lab that asks for these files; its directories do not exist."""
    return Lab(
        name="01-buddy",
        title="Buddy",
        labdir=Path("/nonexistent/labs/01-buddy"),
        soldir=Path("/nonexistent/solutions/01-buddy"),
        sources=Sources(submission=files),
        limits=Limits(),
        groups={},
        tests=(),
    )


ONE = make_lab("buddy.c")
TWO = make_lab("main.c", "pipeline.c")


def make_zip(members: dict[str, bytes]) -> bytes:
    """A zip with these members."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def make_tar(
    members: dict[str, bytes],
    *special: tarfile.TarInfo,
    mode: str = "w",
    form: int = tarfile.PAX_FORMAT,
) -> bytes:
    """A tar with the special members first, then these."""
    buffer = io.BytesIO()
    with tarfile.open(
        fileobj=buffer, mode=mode, format=form, encoding="utf-8", errors="surrogateescape"
    ) as archive:  # type: ignore[call-overload]
        for info in special:
            archive.addfile(info)
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def member(name: str, kind: bytes, *, linkname: str = "") -> tarfile.TarInfo:
    """A tar member that is not a regular file."""
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = linkname
    return info


def take(tmp_path: Path, content: bytes, *, name: str, lab: Lab = ONE) -> SubmissionInfo:
    """Collects a submission that is one file."""
    source = tmp_path / name
    source.write_bytes(content)
    return collect(source, lab, tmp_path / "into")


def cpu_seconds() -> float:
    """CPU time of this process and of those that it has waited for."""
    return sum(os.times()[:4])


def refuse(tmp_path: Path, content: bytes, *, name: str, lab: Lab = ONE) -> str:
    """The message that refuses a submission of one file; nothing may be written."""
    with pytest.raises(SubmissionError) as caught:
        take(tmp_path, content, name=name, lab=lab)
    assert not (tmp_path / "into").exists()
    assert caught.value.exit_code == 2
    message = str(caught.value)
    assert message.isprintable()
    return message


# ---- forms ----------------------------------------------------------------

PACKERS: dict[str, Callable[[dict[str, bytes]], bytes]] = {
    "alice.zip": make_zip,
    "alice.tar": make_tar,
    "alice.tar.gz": lambda m: gzip.compress(make_tar(m)),
    "alice.tgz": lambda m: gzip.compress(make_tar(m, form=tarfile.GNU_FORMAT)),
    "alice.tar.bz2": lambda m: bz2.compress(make_tar(m)),
    "alice.tar.xz": lambda m: lzma.compress(make_tar(m, form=tarfile.USTAR_FORMAT)),
}


@pytest.mark.parametrize("folder", ["", "./", "alice/", "a/b/c/", "mit Leerzeichen/"])
@pytest.mark.parametrize("name", PACKERS)
def test_an_archive_yields_its_files_from_any_directory(
    tmp_path: Path, name: str, folder: str
) -> None:
    """Zip and tar in every compression, with and without directories, yield the same files."""
    packed = PACKERS[name]({folder + n: c for n, c in SOURCES.items()})
    taken = take(tmp_path, packed, name=name, lab=TWO)
    assert taken.name == "alice"
    assert taken.files == ("main.c", "pipeline.c")
    assert taken.hash == contents_hash(SOURCES)
    assert {p.name: p.read_bytes() for p in (tmp_path / "into").iterdir()} == SOURCES


def test_an_archive_may_have_several_streams(tmp_path: Path) -> None:
    """Pigz and pbzip2 concatenate several compressed streams."""
    whole = make_tar({"buddy.c": SOURCE})
    packed = b"".join(gzip.compress(part) for part in (whole[:700], whole[700:])) + bytes(100)
    assert take(tmp_path, packed, name="x.tar.gz").files == ("buddy.c",)


def test_a_directory_yields_its_files(tmp_path: Path) -> None:
    """The files may lie in the directory itself, or in its only subdirectory."""
    for where in (tmp_path / "bob", tmp_path / "carol" / "lab 01"):
        where.mkdir(parents=True)
        for name, content in SOURCES.items():
            (where / name).write_bytes(content)
    bob = collect(tmp_path / "bob", TWO, tmp_path / "1")
    carol = collect(tmp_path / "carol", TWO, tmp_path / "2")
    assert bob.hash == carol.hash
    assert bob.notes == ()
    assert carol.notes == ("taken from the directory 'lab 01'",)


def test_one_file_is_a_submission_under_any_name(tmp_path: Path) -> None:
    """An LMS may rename the only file that a lab asks for."""
    taken = take(tmp_path, SOURCE, name="4711_late_buddy (2).c")
    assert taken.files == ("buddy.c",)
    assert taken.notes == ("'4711_late_buddy (2).c' taken as buddy.c",)
    assert (tmp_path / "into/buddy.c").read_bytes() == SOURCE


def test_windows_and_macos_archives_are_read(tmp_path: Path) -> None:
    """Backslashes as separators, __MACOSX directories and dot files do no harm."""
    packed = make_zip(
        {
            "lab\\buddy.c": SOURCE,
            "__MACOSX/lab/._buddy.c": b"x",
            "__MACOSX/lab/buddy.c": b"x",
            ".DS_Store": b"x",
            "lab/.git/buddy.c": b"x",
        }
    )
    taken = take(tmp_path, packed, name="x.zip")
    assert (tmp_path / "into/buddy.c").read_bytes() == SOURCE
    assert taken.notes == ("taken from the directory 'lab'",)


def test_other_files_are_ignored_and_named(tmp_path: Path) -> None:
    """A Makefile or a header is ignored, and a note says so."""
    packed = make_tar({"buddy.c": SOURCE, "Makefile": b"all:", "buddy.h": b"", "old/buddy.c": b"x"})
    taken = take(tmp_path, packed, name="x.tar")
    assert [p.name for p in (tmp_path / "into").iterdir()] == ["buddy.c"]
    assert taken.notes == ("ignored: 'Makefile', 'buddy.h', 'old/buddy.c'",)


def test_the_hash_tells_names_and_contents_apart() -> None:
    """The hash changes if bytes move between names and contents."""
    same = [
        contents_hash({"a": b"bc", "d": b""}),
        contents_hash({"a": b"b", "cd": b""}),
        contents_hash({"ab": b"c", "d": b""}),
        contents_hash({"a": b"bcd"}),
    ]
    assert len(set(same)) == len(same)
    assert contents_hash({"a": b"1", "b": b"2"}) == contents_hash({"b": b"2", "a": b"1"})


@pytest.mark.parametrize(
    ("source", "name"),
    [
        ("inbox/alice.zip", "alice"),
        ("inbox/alice.TAR.GZ", "alice"),
        ("inbox/alice.zip.zip", "alice.zip"),
        ("inbox/.zip", ".zip"),
        ("inbox/two\nlines", "two\\nlines"),
        ("inbox/" + 200 * "a", 200 * "a"),
        ("/", "submission"),
    ],
)
def test_a_submission_is_named_after_its_source(source: str, name: str) -> None:
    """The name has no suffix of an archive, is one line, and is never empty."""
    assert submission_name(Path(source)) == name


def test_a_submission_never_names_another_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The submissions . and .. have the names of these directories."""
    (tmp_path / "alice/lab").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "alice/lab")
    assert submission_name(Path()) == "lab"
    assert submission_name(Path("..")) == "alice"


def test_a_result_directory_has_a_valid_name() -> None:
    """A name may be too long for a file system when escaped; two such names still differ."""
    names = [submission_name(Path(c * 250)) for c in "\x01\x02"]
    folders = {result_folder(ONE, name).name for name in names}
    assert len(folders) == 2
    assert all(MAX_NAME_BYTES < len(name.encode()) <= 255 for name in folders)
    assert result_folder(ONE, "doe").name == "doe"


def test_many_empty_streams_are_refused(tmp_path: Path) -> None:
    """Each stream costs more CPU time than its size suggests."""
    (tmp_path / "doe.tar.gz").write_bytes(gzip.compress(b"") * 100_000)
    started = cpu_seconds()
    with pytest.raises(SubmissionError, match="too many concatenated streams"):
        collect(tmp_path / "doe.tar.gz", ONE, tmp_path / "into")
    assert cpu_seconds() - started < 5


# ---- refusals -------------------------------------------------------------


def test_a_source_that_does_not_exist_is_named(tmp_path: Path) -> None:
    """The message contains the path."""
    with pytest.raises(SubmissionError, match=r"nobody\\n' does not exist: give a directory"):
        collect(tmp_path / "nobody\n", ONE, tmp_path / "into")


def test_an_empty_submission_is_called_empty(tmp_path: Path) -> None:
    """It contains nothing, or only files that a file manager added."""
    (tmp_path / "empty/.git").mkdir(parents=True)
    with pytest.raises(SubmissionError, match="the directory 'empty' is empty: the lab asks for"):
        collect(tmp_path / "empty", ONE, tmp_path / "into")
    assert "is empty" in refuse(tmp_path, make_zip({}), name="x.zip")
    assert "is empty" in refuse(tmp_path, make_tar({"__MACOSX/buddy.c": b""}), name="x.tar")


def test_a_missing_file_is_named_with_what_was_found(tmp_path: Path) -> None:
    """The message names the missing file, the place and the files that it contains."""
    packed = make_zip({"lab/main.c": b"", "lab/Pipeline.c": b"", "src/evil\n\x1b[31m": b""})
    assert refuse(tmp_path, packed, name="x.zip", lab=TWO) == (
        "'lab' in the archive 'x.zip' lacks 'pipeline.c'; "
        "found: 'lab/main.c', 'lab/Pipeline.c', 'src/evil\\n\\x1b[31m'; "
        "the lab asks for 'main.c', 'pipeline.c'"
    )
    assert refuse(tmp_path, b"hello", name="notes.txt") == (
        "the file 'notes.txt' lacks 'buddy.c'; found: 'notes.txt'"
    )


def test_duplicate_files_are_refused(tmp_path: Path) -> None:
    """Two directories with the same file, or one name twice in an archive, are ambiguous."""
    message = refuse(tmp_path, make_zip({"old/buddy.c": b"1", "new/buddy.c": b"2"}), name="x.zip")
    assert "more than once, in 'new', 'old'" in message
    packed = make_tar({"buddy.c": b"1", "./buddy.c": b"2"})
    assert "contains 'buddy.c' 2 times" in refuse(tmp_path, packed, name="x.tar")


def _fifo(path: Path) -> None:
    os.mkfifo(path)


def _directory(path: Path) -> None:
    path.mkdir()


def _link(path: Path) -> None:
    path.symlink_to("/etc/passwd")


def _dangling(path: Path) -> None:
    path.symlink_to("nowhere")


def _device(path: Path) -> None:
    try:
        os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(1, 5))
    except PermissionError:
        pytest.skip("making a device takes root")


def _socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))


@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (_fifo, "FIFO"),
        (_directory, "directory"),
        (_link, "symbolic link"),
        (_dangling, "symbolic link"),
        (_device, "device"),
        (_socket, "socket"),
    ],
)
def test_a_file_that_is_not_regular_is_refused_at_once(
    tmp_path: Path, make: Callable[[Path], None], kind: str
) -> None:
    """The grader does not wait for a FIFO, read /dev/zero or follow a link."""
    folder = tmp_path / "sub"
    folder.mkdir()
    make(folder / "buddy.c")
    with pytest.raises(SubmissionError, match=f"'buddy.c' is a {kind}: hand in the file itself"):
        collect(folder, ONE, tmp_path / "into")


def test_a_fifo_as_the_submission_is_refused_at_once(tmp_path: Path) -> None:
    """Opening the FIFO does not wait for a writer."""
    os.mkfifo(tmp_path / "sub")
    with pytest.raises(SubmissionError, match="is a FIFO: give a directory"):
        collect(tmp_path / "sub", ONE, tmp_path / "into")


def test_a_link_to_a_directory_is_not_followed(tmp_path: Path) -> None:
    """A link to another student's directory yields no file."""
    (tmp_path / "bob").mkdir()
    (tmp_path / "bob/buddy.c").write_bytes(SOURCE)
    (tmp_path / "alice").mkdir()
    (tmp_path / "alice/lab").symlink_to("../bob")
    with pytest.raises(SubmissionError, match=r"lacks 'buddy.c'; found: 'lab'"):
        collect(tmp_path / "alice", ONE, tmp_path / "into")


@pytest.mark.parametrize(
    ("kind", "word"),
    [
        (tarfile.SYMTYPE, "symbolic link"),
        (tarfile.LNKTYPE, "hard link"),
        (tarfile.FIFOTYPE, "FIFO"),
        (tarfile.CHRTYPE, "device"),
        (tarfile.DIRTYPE, "directory"),
    ],
)
def test_a_tar_member_that_is_not_a_regular_file_is_refused(
    tmp_path: Path, kind: bytes, word: str
) -> None:
    """Links and devices in an archive have no effect, and the message says what they are."""
    packed = make_tar({}, member("buddy.c", kind, linkname="/etc/passwd"))
    assert f"'buddy.c' is a {word}" in refuse(tmp_path, packed, name="x.tar")


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    """A zip archive can contain links, because it keeps the Unix mode."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        info = zipfile.ZipInfo("buddy.c")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    message = refuse(tmp_path, buffer.getvalue(), name="x.zip")
    assert "'buddy.c' is a symbolic link" in message


@pytest.mark.parametrize("path", ["/buddy.c", "../buddy.c", "a/../../buddy.c", "/etc/buddy.c"])
@pytest.mark.parametrize("pack", [make_zip, make_tar])
def test_paths_that_lead_outside_have_no_effect(
    tmp_path: Path, pack: Callable[[dict[str, bytes]], bytes], path: str
) -> None:
    """Zip slip: the member is ignored, and nothing is written outside."""
    inner = tmp_path / "inner"
    inner.mkdir()
    assert "lacks 'buddy.c'" in refuse(inner, pack({path: SOURCE}), name="x")
    assert list(tmp_path.iterdir()) == [inner]
    (inner / "x").unlink()
    taken = take(inner, pack({path: b"evil", "buddy.c": SOURCE}), name="x")
    assert (inner / "into/buddy.c").read_bytes() == SOURCE
    assert taken.notes == (f"ignored: '{path}'",)


def test_a_link_in_an_archive_does_not_redirect_the_next_member(tmp_path: Path) -> None:
    """A member below a link of the same archive has an ordinary path."""
    packed = make_tar({"d/buddy.c": SOURCE}, member("d", tarfile.SYMTYPE, linkname="/"))
    assert take(tmp_path, packed, name="x.tar").files == ("buddy.c",)


def test_a_file_of_a_gigabyte_is_refused_unread(tmp_path: Path) -> None:
    """It is refused in a directory, alone, and under the name of an archive."""
    folder = tmp_path / "sub"
    folder.mkdir()
    for name in ("buddy.c", "big.zip"):
        with (folder / name).open("wb") as file:
            file.write(b"PK\x03\x04")
            file.truncate(1 << 30)
    for source in (folder, folder / "buddy.c", folder / "big.zip"):
        with pytest.raises(SubmissionError, match="is too large"):
            collect(source, ONE, tmp_path / "into")


def test_the_largest_file_is_taken_and_one_byte_more_is_not(tmp_path: Path) -> None:
    """The limit is one MiB of source, in a directory and in an archive."""
    folder = tmp_path / "sub"
    folder.mkdir()
    for size, fits in ((MAX_FILE_BYTES, True), (MAX_FILE_BYTES + 1, False)):
        content = b"x" * size
        (folder / "buddy.c").write_bytes(content)
        for i, pack in enumerate((make_zip, make_tar)):
            (tmp_path / f"{i}").write_bytes(pack({"buddy.c": content}))
        for source in (folder, tmp_path / "0", tmp_path / "1"):
            into = tmp_path / f"into-{source.name}-{size}"
            if fits:
                assert collect(source, ONE, into).files == ("buddy.c",)
            else:
                with pytest.raises(SubmissionError, match=r"'buddy\.c' is too large"):
                    collect(source, ONE, into)


def _bomb(compress: Callable[[bytes], bytes], *, name: str) -> bytes:
    """A tar with a member of a gigabyte before the file, as concatenated streams."""
    info = tarfile.TarInfo(name)
    info.size = 1 << 30
    head = info.tobuf(tarfile.PAX_FORMAT)
    return compress(head) + compress(bytes(8 << 20)) * 128 + compress(make_tar({"buddy.c": SOURCE}))


@pytest.mark.parametrize("name", ["buddy.c", "other"])
@pytest.mark.parametrize("compress", [gzip.compress, bz2.compress, lzma.compress])
def test_a_tar_bomb_stops_early(
    tmp_path: Path, compress: Callable[[bytes], bytes], name: str
) -> None:
    """A small archive of a gigabyte is refused after 64 MiB, whatever its member's name."""
    packed = _bomb(compress, name=name)
    started = cpu_seconds()
    message = refuse(tmp_path, packed, name="x.tar.gz")
    assert cpu_seconds() - started < 5  # CPU time: a gigabyte takes longer
    assert "the archive contains more than 64 MiB" in message


def test_a_zip_bomb_stops_early(tmp_path: Path) -> None:
    """A compressed member is read only up to the limit of one file."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("buddy.c", bytes(256 << 20))
    assert "'buddy.c' is too large" in refuse(tmp_path, buffer.getvalue(), name="x.zip")


def test_the_total_size_of_wanted_members_is_limited(tmp_path: Path) -> None:
    """Many directories with the same large file are refused before they fill the memory."""
    packed = make_zip({f"{i}/buddy.c": bytes(MAX_FILE_BYTES) for i in range(70)})
    assert 70 * MAX_FILE_BYTES > MAX_ARCHIVE_BYTES
    assert "more than 64 MiB" in refuse(tmp_path, packed, name="x.zip")


def test_too_many_members_are_refused(tmp_path: Path) -> None:
    """Archives and directories may have at most ten thousand entries."""
    names = {f"{i}": b"" for i in range(10_001)}
    for name, packed in {"x.zip": make_zip(names), "x.tar": make_tar(names)}.items():
        assert "contains more than 10000" in refuse(tmp_path, packed, name=name)
    folder = tmp_path / "many" / "deep"
    folder.mkdir(parents=True)
    for name in names:
        (folder / name).touch()
    with pytest.raises(SubmissionError, match="contains more than 10000 files"):
        collect(tmp_path / "many", ONE, tmp_path / "into")


def test_a_zip_with_a_vast_table_of_contents_is_refused_unread(tmp_path: Path) -> None:
    """The table of contents alone could take gigabytes of memory."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for i in range(200):
            info = zipfile.ZipInfo(f"{i}")
            info.comment = b"x" * 60_000
            archive.writestr(info, b"")
    assert "table of contents is too large" in refuse(tmp_path, buffer.getvalue(), name="x.zip")


def test_an_encrypted_zip_says_so(tmp_path: Path) -> None:
    """The message asks for an archive without a password."""
    packed = bytearray(make_zip({"buddy.c": SOURCE}))
    packed[6] |= 1
    packed[packed.index(b"PK\x01\x02") + 8] |= 1
    message = refuse(tmp_path, bytes(packed), name="x.zip")
    assert message == "'buddy.c' is encrypted: pack the archive without a password"


def test_other_zip_methods_are_refused(tmp_path: Path) -> None:
    """Methods that cannot be unpacked in bounded steps are not unpacked."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("buddy.c", SOURCE)
    assert "unsupported compression method (14)" in refuse(
        tmp_path, buffer.getvalue(), name="x.zip"
    )


@pytest.mark.parametrize("name", PACKERS)
def test_a_truncated_archive_is_called_broken(tmp_path: Path, name: str) -> None:
    """An upload may stop half-way."""
    packed = PACKERS[name]({"buddy.c": os.urandom(4000)})
    assert "is a broken archive (" in refuse(tmp_path, packed[:1500], name=name)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"hello", "is not a readable archive"),
        (b"", "is not a readable archive"),
        (b"Rar!\x1a\x07", "is a rar archive"),
        (b"7z\xbc\xaf\x27\x1c", "is a 7z archive"),
    ],
)
def test_a_file_that_is_only_named_like_an_archive_is_refused(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    """The message asks for a format that can be read."""
    message = refuse(tmp_path, content, name="x.zip")
    assert reason in message
    assert message.endswith("hand in a .zip or a .tar.gz")


def test_an_unwritable_destination_is_a_grader_error(tmp_path: Path) -> None:
    """The destination of the copy is not the student's fault."""
    (tmp_path / "into").write_bytes(b"")
    (tmp_path / "buddy.c").write_bytes(SOURCE)
    with pytest.raises(GraderError, match="cannot write to"):
        collect(tmp_path / "buddy.c", ONE, tmp_path / "into")


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    """A link at the destination of the copy is not followed."""
    (tmp_path / "into").mkdir()
    (tmp_path / "into/buddy.c").symlink_to("../victim")
    (tmp_path / "buddy.c").write_bytes(SOURCE)
    with pytest.raises(GraderError, match="exists"):
        collect(tmp_path / "buddy.c", ONE, tmp_path / "into")
    assert not (tmp_path / "victim").exists()


# ---- random input ---------------------------------------------------------

NAMES = st.binary(min_size=1, max_size=40).map(
    lambda b: b.replace(b"/", b"_").replace(b"\0", b"_").decode("utf-8", "surrogateescape")
).filter(lambda n: n not in (".", ".."))  # fmt: skip


@given(NAMES)
def test_any_name_can_be_printed(name: str) -> None:
    """Every name becomes one line of printable characters that can be encoded."""
    for text in (printable(name), quote_all([name] * 12)):
        assert text.isprintable()
        assert text.encode("utf-8")
    assert len(printable(name)) <= 80


@given(names=st.sets(NAMES, max_size=5), good=st.booleans())
def test_other_files_with_any_name_do_no_harm(names: set[str], *, good: bool) -> None:
    """Names may contain newlines, dashes, escapes and bytes that are not UTF-8."""
    with tempfile.TemporaryDirectory() as folder:
        sub = Path(folder, "sub")
        sub.mkdir()
        contents = dict.fromkeys(names - {"buddy.c"}, b"x") | ({"buddy.c": SOURCE} if good else {})
        for name, content in contents.items():
            (sub / name).write_bytes(content)
        packed = Path(folder, "sub.tar")
        packed.write_bytes(make_tar(contents))
        for i, source in enumerate((sub, packed)):
            into = Path(folder, f"into{i}")
            if good:
                assert collect(source, ONE, into).files == ("buddy.c",)
            else:
                with pytest.raises(SubmissionError) as caught:
                    collect(source, ONE, into)
                assert str(caught.value).isprintable()


ARCHIVES = [pack({"buddy.c": SOURCE, "d/x": b"x" * 600}) for pack in PACKERS.values()]


@given(
    packed=st.sampled_from(ARCHIVES),
    changes=st.lists(st.tuples(st.integers(0, 3000), st.binary(min_size=1, max_size=8))),
    cut=st.integers(0, 3000),
)
def test_a_damaged_archive_is_read_or_refused(
    packed: bytes, changes: list[tuple[int, bytes]], cut: int
) -> None:
    """Any bytes yield a submission or a SubmissionError, never another exception."""
    damaged = bytearray(packed)
    for at, change in changes:
        damaged[at : at + len(change)] = change
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "x.zip")
        source.write_bytes(bytes(damaged[: len(packed) - cut] if cut < len(packed) else damaged))
        try:
            taken = collect(source, ONE, Path(folder, "into"))
        except SubmissionError as error:
            assert str(error).isprintable()  # noqa: PT017
        else:
            assert taken.files == ("buddy.c",)
        assert {p.name for p in Path(folder).iterdir()} <= {"x.zip", "into"}
