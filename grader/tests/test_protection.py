"""What a sandbox refuses, and what it must permit: filter, Landlock, probe, secrets."""

import contextlib
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec
import pytest
from sandboxes import LIMITS, PROTECTING, available_kind, compiled, run_program, shell

from labkit.errors import GraderError, UsageError
from labkit.limits import Limits
from labkit.sandbox import detect, seccomp, uid, uids
from labkit.sandbox.detect import problem_of
from labkit.sandbox.interface import Job, SandboxKind, run_job
from labkit.sandbox.launcher import LACKING, REFUSED, identity_options, landlock_abi, launcher
from labkit.sandbox.uids import lease

# ---- the system-call filter -------------------------------------------------

PERMITTED: Final = {"own_prlimit", "prlimit_read", "own_sigqueue", "dumpable"}
OTHER_ERRORS: Final = {
    "vsock": "EAFNOSUPPORT",
    "vsock_high_bits": "EAFNOSUPPORT",
    "other_abi": "ENOSYS",
    "proc_mem": "EACCES",  # Landlock
}
NEEDS_ROOT: Final = {"process_madvise"}  # refused to other users without a filter, too


@pytest.fixture(scope="module")
def attempts() -> Iterator[Path]:
    """The program that tries what a sandbox must refuse."""
    with tempfile.TemporaryDirectory() as name:
        yield compiled("sandbox_attempts.c", Path(name))


def results(output: str) -> dict[str, str]:
    """What each attempt ended with."""
    return dict(line.split(" ") for line in output.splitlines())


@pytest.mark.parametrize("ptrace", [False, True])
def test_the_filter_refuses_what_reaches_out_of_a_sandbox(
    kind: SandboxKind, attempts: Path, ptrace: bool
) -> None:
    """And into other processes of the same uid; ptrace only if the fork server needs it."""
    outcome = run_program(kind, attempts, ptrace=ptrace)
    found = results(outcome.output)
    expected = {name: OTHER_ERRORS.get(name, "EPERM") for name in found}
    expected |= dict.fromkeys(PERMITTED, "done")
    if ptrace:
        expected["ptrace"] = "done"
    if kind.name not in PROTECTING or not landlock_abi():
        expected["proc_mem"] = "done"
    assert found == expected, outcome.output
    assert len(found) > 35


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become other users")
def test_without_the_filter_every_attempt_would_reach_the_kernel(attempts: Path) -> None:
    """So the refusals above come from the filter and from Landlock."""
    used = lease()
    argv = [str(launcher()), "--filter=none", *identity_options(used), "--", str(attempts)]
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    used.release()
    refused = {n for n, r in results(done.stdout).items() if r == OTHER_ERRORS.get(n, "EPERM")}
    assert refused <= NEEDS_ROOT


def test_without_a_filter_there_is_no_sandbox(
    kind: SandboxKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A sandbox is refused with an error; it never runs with an empty filter."""
    seccomp.program.cache_clear()
    monkeypatch.setitem(sys.modules, "pyseccomp", None)
    before = len(list(Path("/proc/self/fd").iterdir()))
    assert "the system-call filter cannot be compiled" in problem_of(kind.name)
    assert len(list(Path("/proc/self/fd").iterdir())) == before
    monkeypatch.undo()
    assert problem_of(kind.name) == ""


@pytest.mark.parametrize(
    "options", [[], ["--filter=99"], ["--filter=0"], ["--uid=1"], ["--filter=none", "--limit=x=1"]]
)
def test_the_launcher_refuses_what_it_cannot_do(options: list[str]) -> None:
    """No filter, an empty one (descriptor 0), half an identity, an unknown limit."""
    argv = [str(launcher()), *options, "--", "echo", "it ran"]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == REFUSED
    assert done.stderr
    assert not done.stdout


# ---- Landlock ------------------------------------------------------------------

WITH_LANDLOCK: Final = pytest.mark.skipif(not landlock_abi(), reason="no Landlock in this kernel")
# Ways to a file of mode 0644 in directories that every uid may enter.
READ: Final = """
cat "$SECRET"; ln -s "$SECRET" "$TMPDIR/link"; cat "$TMPDIR/link"
cat "/proc/1/root$SECRET"; cat "/proc/self/root$SECRET"; ln "$SECRET" "$TMPDIR/hard"
cat "$TMPDIR/hard"; cd "$(dirname "$SECRET")" && cat "$(basename "$SECRET")"
for process in /proc/[0-9]*; do cat "$process/cwd/$(basename "$SECRET")"; done
bash -c 'while read -r line; do echo "$line"; done < "$0"' "$SECRET"
exec 2>&1; cp "$SECRET" "$TMPDIR/copy" && cat "$TMPDIR/copy"
"""
WRITE: Final = """
for folder in /tmp /var/tmp /run/lock "$(dirname "$SECRET")"; do echo x > "$folder/$NAME"; done
mkdir "/tmp/$NAME.d"; ln -s / "/tmp/$NAME.link"; mkfifo "/tmp/$NAME.fifo"
touch "$TMPDIR/own" && mv "$TMPDIR/own" "/tmp/$NAME.moved"; rm -f "$SECRET"; : > "$SECRET"
"""


@pytest.fixture
def secret() -> Iterator[Path]:
    """A file that every uid could read and write if it were not for Landlock."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o777)
        path = folder / "solution.c"
        path.write_text("the solution\n", encoding="utf-8")
        path.chmod(0o666)
        yield path


def run_with(kind: SandboxKind, script: str, secret: Path) -> str:
    """The output of a script that knows where the secret is."""
    name = f"labkit-{secret.parent.name}"
    limits = msgspec.structs.replace(LIMITS, output_bytes=1 << 20)
    return shell(kind, f"SECRET={secret}; NAME={name}; {script}", limits=limits).output


@WITH_LANDLOCK
def test_a_sandbox_reads_no_file_outside_system_and_mounts(
    protecting: SandboxKind, secret: Path
) -> None:
    """Whatever the mode of the file, and whatever the way to it."""
    output = run_with(protecting, READ, secret)
    assert "the solution" not in output
    assert output.count("solution.c") > 5, output  # each way was tried, and refused


@WITH_LANDLOCK
def test_a_sandbox_writes_only_to_its_own_directory(protecting: SandboxKind, secret: Path) -> None:
    """Files that it creates elsewhere would be seen, filled or followed by others."""
    script = WRITE + "ls -d /tmp/$NAME* /var/tmp/$NAME* /run/lock/$NAME* 2>/dev/null; :"
    output = run_with(protecting, script, secret)
    assert secret.read_text(encoding="utf-8") == "the solution\n"
    assert {p.name for p in secret.parent.iterdir()} == {secret.name}
    if protecting.name == "uid":  # a bwrap sandbox has a /tmp of its own
        assert f"\n/tmp/labkit-{secret.parent.name}" not in output


@WITH_LANDLOCK
def test_without_landlock_these_files_could_be_read_and_written(
    secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So the refusals above come from Landlock."""
    kind = available_kind("uid")
    monkeypatch.setattr(uid, "_paths", lambda job: [])  # noqa: ARG005
    assert run_with(kind, READ, secret).count("the solution") > 5
    script = WRITE + "ls -d /tmp/$NAME*"
    assert f"\n/tmp/labkit-{secret.parent.name}" in run_with(kind, script, secret)
    assert not secret.exists()


@WITH_LANDLOCK
def test_a_sandbox_connects_to_no_abstract_socket_outside(monkeypatch: pytest.MonkeyPatch) -> None:
    """Such a socket has no file whose mode could refuse it; without Landlock nothing would."""
    kind = available_kind("uid")
    name = f"\\0labkit-{os.getpid()}"
    script = f"import socket; socket.socket(socket.AF_UNIX).connect('{name}'); print('connected')"
    job = Job(("/usr/bin/python3", "-c", script), (), LIMITS)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(f"\0labkit-{os.getpid()}")
        server.listen()
        assert "PermissionError" in run_job(kind, job, seconds=20).output
        monkeypatch.setattr(uid, "_paths", lambda job: [])  # noqa: ARG005
        assert run_job(kind, job, seconds=20).output == "connected\n"


def test_without_landlock_readable_solutions_refuse_uid_sandboxes(
    secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing else keeps a submission from them.  A bwrap sandbox has other files."""
    available_kind("uid")
    notes = secret.parent / "notes"
    assert detect.choose("uid", secrets=[secret.parent], notes=notes).name == "uid"
    monkeypatch.setattr(detect, "landlock_abi", lambda: 0)
    with pytest.raises(GraderError, match="chmod"):
        detect.choose("uid", secrets=[secret.parent], notes=notes)


def test_solutions_below_a_directory_of_the_system_must_not_be_readable(
    secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every sandbox may read the system."""
    available_kind("uid")
    monkeypatch.setattr(uid, "SYSTEM_FILES", (str(secret.parent),))
    with pytest.raises(GraderError, match="chmod"):
        detect.choose("uid", secrets=[secret.parent], notes=secret.parent / "notes")


def test_what_programs_need_works_in_every_kind(kind: SandboxKind) -> None:
    """Objects of POSIX and System V, FIFOs, sockets, /proc, and programs of the system."""
    with tempfile.TemporaryDirectory() as name:
        outcome = run_program(kind, compiled("sandbox_needs.c", Path(name)))
    assert (outcome.status, outcome.output) == (0, "")
    script = """set -e; cd "$TMPDIR"; echo 'int main(void) { return 0; }' > a.c; gcc -o a a.c; ./a
    valgrind -q ./a; bash -c 'cat <(printf "b\\na\\n" | sort)'; ls /proc/self/fd > /dev/null"""
    limits = msgspec.structs.replace(LIMITS, memory_bytes=16 << 30)
    outcome = shell(kind, script, limits=limits)
    assert (outcome.status, outcome.output) == (0, "a\nb\n")


# ---- what is lacking before a submission runs ---------------------------------------


def test_a_lack_before_the_program_runs_is_named(
    protecting: SandboxKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So it can be told from a lack that the submission has caused."""
    monkeypatch.setattr(uid, "LACK_SECONDS", 0)
    limits = msgspec.structs.replace(LIMITS, processes=1)
    assert "no process can be created" in failed_start(protecting, limits)
    limits = msgspec.structs.replace(LIMITS, open_files=3)
    assert "Too many open files" in failed_start(protecting, limits)


def failed_start(kind: SandboxKind, limits: Limits) -> str:
    """Why a program was not executed."""
    try:
        outcome = shell(kind, "echo it ran", limits=limits)
    except GraderError as error:
        return str(error)
    assert outcome.status == LACKING
    return outcome.output


def test_a_small_temporary_directory_is_named() -> None:
    """In a bwrap sandbox its size is a limit of the sandbox."""
    limits = msgspec.structs.replace(LIMITS, tmpfs_bytes=4096)
    assert "are free in /tmp: No space left on device" in failed_start(
        available_kind("bwrap"), limits
    )


def in_namespaces(script: str, *options: str, **env: str) -> str:
    """The output of a Python script in namespaces of its own, where it may mount."""
    available_kind("uid")
    argv = ["unshare", "--mount", *options, sys.executable, "-c", IMPORTS + script]
    done = subprocess.run(argv, capture_output=True, text=True, env=os.environ | env)
    if "unshare" in done.stderr:
        pytest.skip(done.stderr)
    return done.stdout + done.stderr


IMPORTS: Final = """
import os, subprocess, threading
from labkit.errors import GraderError
from labkit.limits import Limits
from labkit.sandbox import uid
from labkit.sandbox.interface import Job, run_job
def run(script, seconds=20):
    kind = uid_kind
    outcome = run_job(kind, Job(("sh", "-c", script), (), Limits(processes=30)), seconds=seconds)
    print(outcome.ended.name, outcome.output, flush=True)
uid_kind = uid.Uid()
"""
FILL: Final = """
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m,mode=1777", "none", "/mnt"], check=True)
os.environ["LABKIT_SANDBOX_TMP"] = "/mnt"
"""


def test_what_another_sandbox_has_used_up_is_waited_for() -> None:
    """A submission that fills the disk gives no other submission a grader error."""
    script = """
filling = threading.Thread(target=run, args=("yes > $TMPDIR/x; : > $TMPDIR/full; exec sleep 60", 3))
filling.start()
while os.statvfs("/mnt").f_bavail:
    pass
run("echo second")
filling.join()
"""
    assert in_namespaces(FILL + script).split() == [
        *("DEADLINE", "yes:", "standard", "output:", "No", "space", "left", "on", "device"),
        *("DONE", "second"),
    ]


def test_what_nobody_gives_back_is_a_grader_error() -> None:
    """The message names the resource."""
    script = """
uid.LACK_SECONDS = 0
open("/mnt/full", "wb").write(bytes(5 << 20))
try:
    run("echo it ran")
except GraderError as error:
    print(error)
"""
    assert "No space left on device" in in_namespaces(FILL + script)


def test_a_uid_that_another_container_uses_is_not_taken() -> None:
    """The kernel counts the processes of both; a sandbox with no process left takes another uid."""
    first = 1_500_000_000
    with contextlib.ExitStack() as stack:
        for number in range(first, first + 8):
            hog = [str(launcher()), "--filter=none", f"--uid={number}", f"--gid={number}", "--"]
            script = "for i in $(seq 40); do sleep 600 & done; echo ready; read x"
            process = stack.enter_context(
                subprocess.Popen([*hog, "sh", "-c", script], stdout=-1, stdin=-1)
            )
            stack.callback(uids.kill_all, number)
            assert process.stdout
            process.stdout.readline()
        seen = in_namespaces(
            "for i in range(6): run('id -u')",
            *("--pid", "--fork", "--mount-proc"),
            LABKIT_UIDS=f"{first}-{first + 31}",
        )
    taken = [int(word) for word in seen.split() if word != "DONE"]
    assert len(taken) == 6, seen
    assert min(taken) >= first + 8


# ---- the range of uids -------------------------------------------------------------------


def test_every_container_has_its_own_range_of_uids(monkeypatch: pytest.MonkeyPatch) -> None:
    """The range follows from the pid namespace, or is given."""
    monkeypatch.delenv("LABKIT_UIDS", raising=False)
    script = "from labkit.sandbox import uids; print(uids.pool())"
    other = in_namespaces(script, "--pid", "--fork", "--mount-proc")
    assert in_namespaces(script) == f"{uids.pool()}\n" != other
    assert other.startswith("range(")
    monkeypatch.setenv("LABKIT_UIDS", "70000-70099")
    assert uids.pool() == range(70000, 70050)
    for wrong in ("70000", "a-b", "70099-70000", "0-100", "1-31", f"1-{1 << 31}"):
        monkeypatch.setenv("LABKIT_UIDS", wrong)
        with pytest.raises(UsageError, match="LABKIT_UIDS"):
            uids.pool()


# ---- message queues ------------------------------------------------------------------------


def test_message_queues_are_mounted_or_the_sandbox_is_refused() -> None:
    """Elsewhere the queues of a submission would stay, unseen, for the next."""
    script = """
subprocess.run(["umount", "/dev/mqueue"])
print("mounted", os.path.ismount("/dev/mqueue"))
run("echo it ran")
"""
    assert in_namespaces(script).split() == ["mounted", "False", "DONE", "it", "ran"]
    script = """
subprocess.run(["umount", "/dev/mqueue"])
uid.ctypes.CDLL = lambda *a, **k: type("libc", (), {"mount": lambda *a: -1})
try:
    run("echo it ran")
except GraderError as error:
    print(error)
"""
    assert "mount -t mqueue none /dev/mqueue" in in_namespaces(script)
