"""What a sandbox refuses, and what it must permit: filter, Landlock, probe, secrets."""

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

from labkit.sandbox import seccomp, uid
from labkit.sandbox.detect import problem_of
from labkit.sandbox.interface import Job, SandboxKind, run_job
from labkit.sandbox.launcher import REFUSED, identity_options, landlock_abi, launcher
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
