"""What test and sandbox share, tested by kitlab/test_shared.c in every kind of sandbox."""

import os
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from kit_binary import KITLAB, names_of_tests, run_binary
from sandboxes import available_kind

from labkit.limits import Limits
from labkit.sandbox.interface import Job, Mount, SandboxKind, end_sandbox
from labkit.sandbox.watch import Sink, Watch

TESTS: Final = names_of_tests(KITLAB / "test_shared.c")
SECONDS: Final = 60.0

# The message of each test that fails; breaks_... are grader errors.
MESSAGES: Final = {
    "catches_a_regular_file_in_place_of_a_fifo": "fifo is a regular file; expected: a FIFO",
    "catches_a_socket_in_place_of_a_fifo": "fifo is a socket; expected: a FIFO",
    "catches_a_symbolic_link_in_place_of_a_fifo": "fifo is a symbolic link; expected: a FIFO",
    "catches_a_link_to_a_file_of_the_system": "log is a symbolic link; expected: a regular file",
    "catches_a_fifo_in_place_of_a_log": "fifo is a FIFO; expected: a regular file",
    "catches_a_directory_in_place_of_a_log": "log is a directory; expected: a regular file",
    "catches_a_file_with_a_lease": "log, a regular file, cannot be opened: EAGAIN",
    "catches_a_huge_file": "bytes, more than any correct one",
    "catches_a_file_without_permissions": "log, a regular file, cannot be opened: EACCES",
    "catches_a_folder_without_permissions": "log cannot be seen in its folder: EACCES",
    "catches_a_folder_that_cannot_be_made": "the sandbox: no folder can be made there: EACCES",
    "catches_a_queue_that_is_left_behind": "left behind: POSIX message queue /left-",
    "catches_a_submission_that_used_up_all_queues": "the sandbox: the message queue /queue-",
    "catches_objects_of_every_kind": "System V message queue, id",
    "catches_more_objects_than_can_be_listed": "there are more objects than can be listed: POSIX",
    "catches_objects_that_cannot_be_listed": "objects cannot be listed: /dev/shm cannot",
    "catches_a_command_that_fails_after_student_code_ran": "spoiled the sandbox: sh -c 'exit 3'",
    "catches_a_command_that_fails_after_a_program_of_the_student": "spoiled the sandbox: sh -c",
    "catches_a_submission_that_kills_the_fork_server": "has failed: its fork server",
    "breaks_without_queues_before_student_code_ran": "does not work: the message queue /queue-",
    "breaks_where_a_command_fails_before_student_code_ran": "does not work: sh -c 'exit 3'",
    "breaks_where_a_command_fails_after_a_given_program": "does not work: sh -c 'exit 3'",
}
INTERRUPTED: Final = "interrupted"
HOLDING: Final = [name for name in TESTS if name not in MESSAGES and name != INTERRUPTED]

# These use up something, or need another user than root.
IN_SANDBOX_ONLY: Final = {
    "catches_a_file_without_permissions",
    "catches_a_folder_without_permissions",
    "catches_a_folder_that_cannot_be_made",
    "catches_objects_of_every_kind",
    "catches_more_objects_than_can_be_listed",
    "catches_objects_that_cannot_be_listed",
    "catches_a_submission_that_used_up_all_queues",
    "breaks_without_queues_before_student_code_ran",
}


@pytest.fixture(scope="session")
def build() -> Iterator[Path]:
    """The kit's own lab with these tests, where every uid may read it."""
    directory = Path(tempfile.mkdtemp(prefix="labkit-shared-", dir="/tmp"))
    directory.chmod(0o755)
    subprocess.run(
        ["make", "-C", KITLAB, f"BUILD={directory}", "HIDDEN=test_shared.c", "build", "graded"],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    yield directory
    shutil.rmtree(directory)


def run_in(
    kind: SandboxKind, build: Path, *names: str, before: tuple[str, ...] = ()
) -> subprocess.CompletedProcess[str]:
    """Runs tests against one sandbox; `before` are arguments in front of the test binary's."""
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    mounts = (Mount(build, "/build"),)
    with ours, theirs:
        job = Job(
            argv=(
                *(build / "puppet", "--submission", build / "submission.so"),
                *("--fork-server", str(theirs.fileno())),
            ),
            mounts=mounts,
            limits=Limits(),
            fds=(theirs.fileno(),),
            ptrace=True,
        )
        sandbox = kind.start(job)
        theirs.close()
        watch = Watch({sandbox.output: Sink(1 << 16)})
        programs = kind.path_inside(build / "programs", mounts)
        shared = ("--shared",) if kind.shares_objects else ()
        try:
            return subprocess.run(
                [
                    *(*before, str(build / "test_graded"), f"--fork-server={ours.fileno()}"),
                    *(f"--programs={programs}", *shared, *names),
                ],
                pass_fds=(ours.fileno(),),
                capture_output=True,
                text=True,
                check=False,
                timeout=SECONDS,
            )
        finally:
            ours.close()
            end_sandbox(sandbox, watch, grace_s=5.0)


def check(result: subprocess.CompletedProcess[str], name: str) -> None:
    """A test that fails has its own status and message."""
    assert result.returncode == (3 if name.startswith("breaks_") else 1), result.stderr
    assert MESSAGES[name] in result.stderr


def test_the_test_uses_what_the_sandbox_opens(kind: SandboxKind, build: Path) -> None:
    """A folder and message queues are the same for test and puppets in every kind of sandbox."""
    result = run_in(kind, build, *HOLDING)
    assert result.returncode == 0, result.stderr


def test_a_student_at_home_has_the_same(build: Path) -> None:
    """The test binary starts the fork server itself there."""
    result = run_binary(build / "test_graded", *HOLDING)
    assert result.returncode == 0, result.stderr


def test_root_needs_no_capability_for_the_files_of_a_sandbox(build: Path) -> None:
    """In the recommended container root may not open other users' files."""
    dropped = "-dac_override,-dac_read_search,-fowner,-chown"
    setpriv = ("setpriv", f"--bounding-set={dropped}", f"--inh-caps={dropped}")
    result = run_in(available_kind("uid"), build, *HOLDING, before=setpriv)
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize("name", [name for name in MESSAGES if name not in IN_SANDBOX_ONLY])
def test_a_failure_names_its_cause(build: Path, tmp_path: Path, name: str) -> None:
    """What a submission puts in place of a file or breaks fails the test, and never waits."""
    own_directory = ("env", f"TMPDIR={tmp_path}")  # other tests use the common one meanwhile
    check(run_binary(build / "test_graded", name, prefix=own_directory), name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", sorted(IN_SANDBOX_ONLY))
def test_a_failure_in_a_sandbox_names_its_cause(
    protecting: SandboxKind, build: Path, name: str
) -> None:
    """The same for permissions and used-up queues."""
    if name == "catches_objects_that_cannot_be_listed" and protecting.name == "uid":
        pytest.skip("/dev/shm is not the sandbox's own")
    check(run_in(protecting, build, name), name)


def test_objects_of_a_failed_test_are_not_there_in_the_next(
    protecting: SandboxKind, build: Path
) -> None:
    """Tests that share a sandbox, as in the Valgrind pass, do not share objects."""
    result = run_in(
        protecting, build, "catches_objects_of_every_kind", "nothing_is_left_of_the_test_before"
    )
    assert result.returncode == 1
    assert "1 FAILED TEST(S)" in result.stderr, result.stderr
    for what in ("memory", "directory", "sem.semaphore", "queue", "System V semaphores"):
        assert what in result.stderr


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
def test_an_interrupted_run_leaves_no_folder(build: Path, how: signal.Signals) -> None:
    """Ctrl-C reaches the fork server too; SIGKILL ends the test binary alone."""
    run = subprocess.Popen(
        [
            *(build / "test_graded", f"--puppet={build}/puppet"),
            *(f"--submission={build}/submission.so", INTERRUPTED),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    with run:
        assert run.stdout
        folder = Path(next(line.strip() for line in run.stdout if line.startswith("/")))
        assert folder.is_dir()
        if how is signal.SIGKILL:
            run.kill()
        else:
            os.killpg(run.pid, how)
        run.stdout.read()  # until the fork server has ended as well
    assert run.returncode == -how
    assert not folder.exists()


def test_the_folder_of_a_killed_fork_server_is_removed(build: Path) -> None:
    """A submission that kills the fork server leaves nothing in /tmp either."""
    result = run_binary(build / "test_graded", "catches_a_submission_that_kills_the_fork_server")
    folder = next(line for line in result.stdout.splitlines() if "testkit-" in line)
    assert not Path(folder).exists()


def test_message_queues_that_cannot_be_listed_are_tried(build: Path) -> None:
    """Where /dev/mqueue is not mounted, the names of object_name() are looked up, and removed."""
    unshare = ["unshare", *(["--map-root-user"] if os.geteuid() else []), "--mount", "--ipc"]
    script = (
        "while umount /dev/mqueue 2>/dev/null; do :; done; "
        f"{build}/test_graded --puppet {build}/puppet --submission {build}/submission.so "
        "catches_a_queue_that_is_left_behind a_queue_of_the_test_is_the_puppets; "
        "mount -t mqueue none /dev/mqueue && ls /dev/mqueue && echo END"
    )
    result = subprocess.run(
        [*unshare, "sh", "-c", script], capture_output=True, text=True, check=False
    )
    if "END" not in result.stdout:
        pytest.skip(f"message queues cannot be mounted here: {result.stderr}")
    assert "left behind: POSIX message queue /left-" in result.stderr
    assert "1 FAILED TEST(S)" in result.stderr
    assert not [line for line in result.stdout.splitlines() if line.startswith("left-")]


def test_every_message_belongs_to_a_test() -> None:
    """Tests that fail have these names, and no others."""
    assert set(MESSAGES) == {n for n in TESTS if n.startswith(("catches_", "breaks_"))}
