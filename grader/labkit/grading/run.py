"""Drives the trusted test binary against a sandbox, once for every graded test.

The exit status of the test binary (TestExit) is the verdict.  The output of a submission never
influences it.
"""

import os
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from pathlib import Path
from typing import Final

import msgspec

from labkit.errors import GraderError, Interrupted
from labkit.grading import memcheck
from labkit.grading.outcomes import BuildReport, MemcheckRun, TestRun
from labkit.grading.working_directory import WorkingDirectory
from labkit.lab.kit import Kit
from labkit.lab.manifest import Lab
from labkit.limits import Limits
from labkit.result import Status
from labkit.sandbox.interface import Job, SandboxKind, end_sandbox, how_ended
from labkit.sandbox.process import bytes_fd
from labkit.sandbox.watch import CancelEvent, Ended, Sink, Watch
from labkit.tools import need_tool

TEST_ENVIRONMENT: Final = {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}

EXPLANATION_BYTES: Final = 64 << 10
LOG_BYTES: Final = 8 << 20
END_SECONDS: Final = 5.0  # for the fork server to exit after the test binary
# The prefixes that cmocka writes before a failed assertion, its place, and the summary.
ERROR_MARK: Final = "[  ERROR   ] --- "
LINE_MARK: Final = "[   LINE   ] --- "
END_MARK: Final = "[  PASSED  ]"
RULE_MARK: Final = "rule: "  # the prefix that the test binary writes before the rule

HANGS: Final = "one of the tests that run under Valgrind hangs"

# Valgrind needs address space for its shadow memory.
VALGRIND_BYTES: Final = 16 << 30


class TestExit(IntEnum):
    """The exit statuses of a test binary, as defined in labs/testkit/shared/exit_status.h."""

    __test__ = False  # for pytest: not a class of tests

    PASSED = 0
    FAILED = 1
    USAGE = 2
    GRADER_ERROR = 3
    HUNG = 4  # failed, because the submission hangs


@dataclass(frozen=True)
class CompiledSubmission:
    """A compiled submission, ready to be tested."""

    lab: Lab
    kit: Kit
    directory: WorkingDirectory
    build: BuildReport
    sandbox: SandboxKind
    seed: int
    cancel: CancelEvent
    hang_found: CancelEvent  # set when a test of the Valgrind pass hangs natively
    overwrite_arena: bool = False  # for proofs: see labs/testkit/test/overwrite.c

    def with_seed(self, seed: int) -> "CompiledSubmission":
        """The same submission, with another seed for its random tests."""
        return replace(self, seed=seed)


@dataclass(frozen=True)
class BinaryRun:
    """How a test binary and its sandbox ended, and what they wrote."""

    ended: Ended
    status: int
    sandbox_status: int
    explanation: str
    output: str
    log: str
    seconds: float


def run_test(submission: CompiledSubmission, name: str) -> TestRun:
    """Runs one test in a fresh sandbox."""
    limits = submission.lab.limits
    run = _run_binary(submission, _fork_server(submission), [name], limits=limits)
    hung = run.ended is Ended.DEADLINE or run.status == TestExit.HUNG
    log = ""
    if run.ended is Ended.DEADLINE:
        status: Status = "fail"
        message = f"did not finish within {limits.deadline_s} s"
    elif run.status == TestExit.PASSED:
        status, message = "pass", ""
    elif run.status in (TestExit.FAILED, TestExit.HUNG):
        status, message = "fail", explanation(run.explanation)
    else:
        status, message, log = "error", _grader_error(run), _last_output(run)
    return TestRun(
        name=name,
        status=status,
        message=message,
        log=log,
        output=run.output,
        seconds=run.seconds,
        hung=hung,
    )


def run_memcheck(submission: CompiledSubmission) -> MemcheckRun:
    """Runs the tests of [memcheck] in one sandbox, with the fork server under Valgrind.

    The pass is cancelled when one of them hangs in its native run: under Valgrind it takes very
    long to detect a hang.
    """
    lab = submission.lab
    if lab.memcheck is None:
        raise GraderError(f"lab {lab.name} has no [memcheck]")
    library = submission.build.submission
    if library and memcheck.has_client_request(library):
        return MemcheckRun("fail", message=memcheck.REFUSED)
    need_tool("valgrind")
    kit = submission.kit
    limits = msgspec.structs.replace(
        lab.limits,
        cpu_s=lab.limits.cpu_s * kit.valgrind_factor,
        deadline_s=lab.limits.deadline_s * kit.valgrind_factor,
        memory_bytes=VALGRIND_BYTES,
    )
    # A socket, because the submission could reopen a pipe through /proc/self/fd.
    ours, theirs = socket.socketpair()
    with ours, theirs:
        log_fd = theirs.fileno()
        valgrind = ["valgrind", *memcheck.OPTIONS, *kit.memcheck_flags, f"--log-fd={log_fd}", "--"]
        run = _run_binary(
            submission,
            (*valgrind, *_fork_server(submission), "--log-fd", str(log_fd)),
            lab.memcheck.tests,
            limits=limits,
            log=(ours, theirs),
        )
    if run.ended is Ended.CANCELLED:
        return MemcheckRun("fail", message=HANGS, seconds=run.seconds)
    if run.ended is Ended.DEADLINE:
        message = f"the tests did not finish within {limits.deadline_s} s under Valgrind"
        return MemcheckRun("fail", message=message, seconds=run.seconds)
    if run.status not in (TestExit.PASSED, TestExit.FAILED, TestExit.HUNG):
        message, log = _grader_error(run), _last_output(run)
        return MemcheckRun("error", message=message, log=log, seconds=run.seconds)
    report = memcheck.parse(run.log, files=lab.files)
    status: Status = "pass"
    message = ""
    if report.findings:
        status, message = "fail", f"Valgrind found {memcheck.count(report.findings)}"
    elif not report.complete:
        status = "fail"
        message = "Valgrind's report is not complete: " + report.missing
    return MemcheckRun(
        status,
        message,
        complete=report.complete,
        findings=report.findings,
        seconds=run.seconds,
    )


def explanation(text: str) -> str:
    """The test's explanation: the failed assertion, its place, the last calls."""
    what: list[str] = []
    calls: list[str] = []
    place = ""
    in_calls = False
    for line in text.splitlines():
        rest = line.removeprefix(ERROR_MARK).removeprefix("ERROR: ")
        in_calls = line.startswith("calls of ") or (in_calls and line.startswith("  "))
        if line.startswith(END_MARK):
            break
        if line.startswith(RULE_MARK):
            continue  # reports show it separately
        if rest.startswith(LINE_MARK):
            place = rest.removeprefix(LINE_MARK).removesuffix(": error: Failure!")
        elif in_calls:
            calls.append(line)
        elif rest.strip():
            what.append(rest)
    return "\n".join([*what, *([f"at {Path(place).name}"] if place else []), *calls])


def _grader_error(run: BinaryRun) -> str:
    """Why a test has no verdict: how the two processes ended, and the binary's last output."""
    said = run.explanation.strip()[-2000:] or "none"
    message = f"the test binary {how_ended(run.status)}; output: {said}"
    if run.sandbox_status:
        message += f"\nthe sandbox {how_ended(run.sandbox_status)}"
    return message


def _last_output(run: BinaryRun) -> str:
    """What the sandbox printed last: it may be the submission's, so it is not shown."""
    return f"last output of the sandbox: {run.output.strip()[-500:] or 'none'}"


def _fork_server(submission: CompiledSubmission) -> tuple[str | Path, ...]:
    """The fork server's command line; _run_binary() adds the descriptor."""
    directory = submission.directory
    return (directory.kit / "puppet", "--submission", directory.made / "submission.so")


def _run_binary(
    submission: CompiledSubmission,
    fork_server: Sequence[str | Path],
    names: Sequence[str],
    *,
    limits: Limits,
    log: tuple[socket.socket, socket.socket] | None = None,
) -> BinaryRun:
    """Starts a sandbox and the test binary, connected by a socket pair, and waits for both.

    `log` is a socket pair for Valgrind's log, in the Valgrind pass.  Its first socket is the
    grader's, and is closed here; the second is the sandbox's.
    """
    if submission.cancel.is_set:
        raise Interrupted
    started = time.monotonic()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        fds = (theirs.fileno(), log[1].fileno()) if log else (theirs.fileno(),)
        directory = submission.directory
        job = Job(
            argv=(*fork_server, "--fork-server", str(theirs.fileno())),
            mounts=directory.memcheck_mounts if log else directory.run_mounts,
            limits=limits,
            group=directory.group,
            fds=fds,
            ptrace=log is None,
        )
        sandbox = submission.sandbox.start(job)
        try:
            factor = submission.kit.valgrind_factor if log else 1
            test, said = _start_binary(
                submission, names, socket_fd=ours.fileno(), timeout_factor=factor
            )
        except OSError as error:
            end_sandbox(sandbox, Watch({sandbox.output: Sink(0)}))
            raise GraderError(f"the test binary cannot be started: {error}") from error
    explained, output, logged = Sink(EXPLANATION_BYTES), Sink(limits.output_bytes), Sink(LOG_BYTES)
    pipes = {said: explained, sandbox.output: output}
    events = [submission.cancel]
    if log:
        log[1].close()
        pipes[log[0].detach()] = logged
        events.append(submission.hang_found)
    watch = Watch(pipes, events)
    try:
        ended = watch.wait(test.pid, seconds=limits.deadline_s)
    finally:
        if test.poll() is None:
            test.kill()
            test.wait()
        end_sandbox(sandbox, watch, grace_s=END_SECONDS)
    if submission.cancel.is_set:
        raise Interrupted
    return BinaryRun(
        ended=ended,
        status=test.returncode,
        sandbox_status=sandbox.process.returncode,
        explanation=explained.text(),
        output=output.text(),
        log=logged.text(),
        seconds=time.monotonic() - started,
    )


def _start_binary(
    submission: CompiledSubmission,
    names: Sequence[str],
    *,
    socket_fd: int,
    timeout_factor: int,
) -> tuple[subprocess.Popen[bytes], int]:
    """Starts the test binary; returns it and the read end of its standard error.

    It reads its arguments from a descriptor: a sandbox of kind uid can see its command line.
    """
    programs = submission.directory.programs
    arguments = [
        f"--seed={submission.seed}",
        f"--fork-server={socket_fd}",
        f"--programs={submission.sandbox.path_inside(programs, submission.directory.run_mounts)}",
        f"--timeout-factor={timeout_factor}",
    ]
    if submission.sandbox.shares_objects:
        arguments.append("--shared")
    if submission.overwrite_arena:
        arguments.append("--overwrite-arena")
    arguments_fd = bytes_fd("".join(f"{word}\0" for word in (*arguments, *names)).encode())
    read, write = os.pipe()
    try:
        process = subprocess.Popen(
            [str(submission.kit.test_graded), "--arguments-fd", str(arguments_fd)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=write,
            env=TEST_ENVIRONMENT,
            pass_fds=(socket_fd, arguments_fd),
            start_new_session=True,
        )
    except OSError:
        os.close(read)
        raise
    finally:
        os.close(write)
        os.close(arguments_fd)
    return process, read
