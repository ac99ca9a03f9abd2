"""Sandboxes of every kind that this machine can make: limits, deadline, sweep."""

import fcntl
import os
import tempfile
from pathlib import Path

import msgspec
import pytest
from sandboxes import LIMITS, PROTECTING, available_kind, shell

from labkit.errors import GraderError
from labkit.grading.working_directory import working_directory
from labkit.lab.kit import Kit
from labkit.sandbox.detect import readable_secret
from labkit.sandbox.interface import Job, Mount, SandboxKind, end_sandbox, run_job
from labkit.sandbox.uids import LOCK_DIRECTORIES, lease, pool
from labkit.sandbox.watch import Ended, Sink, Watch


def test_the_status_and_output_of_a_job_are_returned(kind: SandboxKind) -> None:
    """The job has its own temporary directory, and no variable of the grader's environment."""
    os.environ["LABKIT_TEST_SECRET"] = "secret"
    outcome = shell(kind, 'cd "$TMPDIR" && touch x && ls; echo no >&2; env | grep SECRET; exit 7')
    assert (outcome.ended, outcome.status, outcome.output) == (Ended.DONE, 7, "x\nno\n")


def test_a_mount_is_read_only(kind: SandboxKind) -> None:
    """A mounted file can be read; a sandbox that protects does not let a job write it."""
    shown = Path("/tmp", f"labkit-mount-{os.getpid()}")
    shown.mkdir()
    try:
        (shown / "file").write_text("hello\n", encoding="utf-8")
        script = 'cat "$0"; echo x > "$0"'
        job = Job(("sh", "-c", script, shown / "file"), (Mount(shown, "/shown"),), LIMITS)
        outcome = run_job(kind, job, seconds=20)
        assert outcome.output.startswith("hello\n")
        if kind.name in PROTECTING:
            assert (shown / "file").read_text(encoding="utf-8") == "hello\n"
    finally:
        (shown / "file").unlink()
        shown.rmdir()


def test_the_umask_is_the_same_for_every_grader(kind: SandboxKind) -> None:
    """The modes of a submission's objects are graded."""
    before = os.umask(0o077)
    try:
        outcome = shell(kind, "umask")
    finally:
        os.umask(before)
    assert outcome.output == "0022\n"


def test_a_deadline_ends_the_whole_sandbox(kind: SandboxKind) -> None:
    """A sandbox that protects leaves no process behind."""
    marker = f"31{os.getpid()}"
    outcome = shell(kind, f"trap '' TERM; sleep {marker} & sleep {marker}", seconds=0.3)
    assert outcome.ended is Ended.DEADLINE
    if kind.name in PROTECTING:
        assert not _running(f"sleep\0{marker}\0")


def test_output_is_capped_and_drained(kind: SandboxKind) -> None:
    """All output is read, but only the first bytes are kept."""
    outcome = shell(kind, "yes | head -c 10000000; exit 3")
    assert outcome.status == 3
    assert len(outcome.output) < 1100
    assert "more bytes were cut" in outcome.output


def test_cpu_time_is_limited(kind: SandboxKind) -> None:
    """An endless loop ends by SIGXCPU or SIGKILL."""
    outcome = shell(kind, "while :; do :; done", limits=msgspec.structs.replace(LIMITS, cpu_s=1))
    assert outcome.ended is Ended.DONE
    assert outcome.status in (-24, -9, 128 + 24, 128 + 9)


def test_processes_are_limited(protecting: SandboxKind) -> None:
    """A fork bomb stops at the limit, and no process of it is left."""
    marker = f"32{os.getpid()}"
    script = f"i=0; while [ $i -lt 100 ]; do setsid sleep {marker} & i=$((i + 1)); done; echo all"
    outcome = shell(protecting, script)  # a shell that cannot fork ends
    assert outcome.ended is Ended.DONE
    assert "fork" in outcome.output.lower()
    assert not _running(f"sleep\0{marker}\0")


def test_nothing_is_left_behind(protecting: SandboxKind) -> None:
    """Daemons and files are removed, including those in directories without permissions."""
    marker = f"labkit-left-{os.getpid()}"
    folders = [Path(folder, marker) for folder in ("/tmp", "/var/tmp", "/dev/shm")]
    script = (
        f"for f in {' '.join(map(str, folders))}; do mkdir -p $f/a/b; : > $f/a/b/c; chmod 0 $f/a; "
        f"done; setsid sleep 33{os.getpid()} &"
    )
    assert shell(protecting, script).ended is Ended.DONE
    assert not any(f.exists() for f in folders)
    assert not _running(f"sleep\00033{os.getpid()}\0")


def test_root_is_dropped(protecting: SandboxKind) -> None:
    """A job has no capabilities and cannot gain any."""
    outcome = shell(protecting, "id -u; grep -E '^(CapEff|NoNewPrivs)' /proc/self/status")
    uid, capabilities, privileges = outcome.output.splitlines()
    assert uid != "0"
    assert int(capabilities.split()[1], 16) == 0
    assert privileges.split()[1] == "1"


def test_processes_that_kill_all_others_are_killed() -> None:
    """Processes that kill all others of their uid in a loop are killed; no file is left."""
    marker = Path("/tmp", f"labkit-killer-{os.getpid()}")
    script = f": > {marker}; setsid sh -c 'while :; do kill -9 -1; done' & exec sleep 5"
    for _ in range(5):
        assert shell(available_kind("uid"), script).ended is Ended.DONE
        assert not marker.exists()


def test_only_its_own_sandboxes_can_read_a_working_directory(tmp_path: Path) -> None:
    """A submission cannot read the directory of another that is graded at the same time."""
    kind = available_kind("uid")
    for name in ("puppet", "test_graded"):
        (tmp_path / name).touch()
    kit = Kit(tmp_path, "0", "gcc", (), (), (), (), memcheck_flags=(), valgrind_factor=1, tests=())
    with working_directory(kit) as own, working_directory(kit) as other:
        for directory in (own, other):
            (directory.made / "submission.so").write_text("all of it\n", encoding="utf-8")
        argv = ("cat", own.made / "submission.so", other.made / "submission.so")
        outcome = run_job(kind, Job(argv, own.run_mounts, LIMITS, group=own.group), seconds=20)
    assert outcome.output.startswith("all of it\n")
    assert outcome.output.count("all of it") == 1
    assert "Permission denied" in outcome.output


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has a pool of uids")
def test_no_two_sandboxes_share_a_uid() -> None:
    """Leases of one grader differ, too."""
    leases = [lease() for _ in range(5)]
    assert len({each.uid for each in leases}) == 5
    assert all(each.uid in pool() for each in leases)
    for each in leases:
        each.release()


def test_sandboxes_that_share_objects_run_one_at_a_time() -> None:
    """In kind uid, names of shared objects that two submissions choose cannot collide."""
    kind = available_kind("uid")
    sandbox = kind.start(Job(argv=("sleep", "60"), mounts=(), limits=LIMITS))
    fd = os.open(next(d for d in LOCK_DIRECTORIES if d.is_dir()) / "turn", os.O_RDWR)
    try:
        with pytest.raises(BlockingIOError):
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    finally:
        end_sandbox(sandbox, Watch({sandbox.output: Sink(0)}))
        os.close(fd)
    assert sandbox.turn is not None
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(sandbox.turn)


def test_a_path_outside_all_mounts_is_a_grader_error() -> None:
    """The error is raised before anything runs."""
    job = Job(argv=(Path("/etc/shadow"),), mounts=(), limits=LIMITS)
    with pytest.raises(GraderError, match="no mount"):
        run_job(available_kind("bwrap"), job, seconds=1)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become other users")
def test_no_readable_secret_is_overlooked() -> None:
    """Neither behind a directory that may be entered and not listed, nor behind a link."""
    with tempfile.TemporaryDirectory() as name:
        top = Path(name)
        secret = top / "real/01-lab/lab.c"
        secret.parent.mkdir(parents=True)
        secret.write_text("the solution", encoding="utf-8")
        (top / "solutions").symlink_to("real")
        for path in (top, secret.parent.parent, secret.parent):
            path.chmod(0o711)
        secret.chmod(0o600)
        assert readable_secret([top / "solutions", top / "nothing"]) == ""
        secret.chmod(0o644)
        assert "could read" in readable_secret([top / "solutions", top / "nothing"])
        top.chmod(0o700)
        assert readable_secret([top / "solutions"]) == ""


def _running(command: str) -> bool:
    """Whether a process has this command line; a zombie has none."""
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                if (process / "cmdline").read_bytes().decode(errors="replace") == command:
                    return True
            except (FileNotFoundError, ProcessLookupError):
                continue
    return False
