"""Drives the trusted test binary against a box, once for every graded test.

The exit status of the test binary is the verdict: 0 passed, 1 failed, 4 failed
because the submission hangs, and anything else is the grader's own failure.
Nothing that a submission prints or returns is ever looked at for it.
"""

import os
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Literal

from labkit import memcheck
from labkit.box import BoxKind, Job, end_box
from labkit.build import BuildReport
from labkit.errors import GraderError, Interrupted
from labkit.kit import Kit, need_tool
from labkit.manifest import Lab, Limits
from labkit.watch import Ended, Sink, Stop, Watch
from labkit.workroom import Workroom

TEST_ENVIRONMENT: Final = {"PATH": "/usr/bin:/bin", "LC_ALL": "C"}

Status = Literal["pass", "fail", "error"]

EXPLANATION_BYTES: Final = 64 << 10
LOG_BYTES: Final = 8 << 20
END_SECONDS: Final = 5.0  # for a test binary or a stage whose peer has gone
# What cmocka writes in front of a failed assertion, its place, and the end.
ERROR_MARK: Final = "[  ERROR   ] --- "
LINE_MARK: Final = "[   LINE   ] --- "
END_MARK: Final = "[  PASSED  ]"

# How a test binary ends: labs/testkit/shared/exit_status.h.
PASSED, FAILED, HUNG = 0, 1, 4
HANGS: Final = "one of the tests that run under Valgrind hangs"

# Valgrind reserves and shadows memory, and is some 20 times slower; lab.mk's memcheck says so too.
VALGRIND_FACTOR: Final = 20
VALGRIND_BYTES: Final = 16 << 30


@dataclass(frozen=True)
class TestRun:
    """What came of one test."""

    __test__ = False  # for pytest: not a class of tests

    name: str
    status: Status
    message: str = ""  # the test's own explanation
    output: str = ""  # what the submission printed
    seconds: float = 0.0
    hung: bool = False  # it was ended because it would not


@dataclass(frozen=True)
class MemcheckRun:
    """What came of the Valgrind pass."""

    status: Status
    message: str = ""
    findings: tuple[memcheck.Finding, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True)
class Bench:
    """A submission that was compiled, ready to be tested."""

    lab: Lab
    kit: Kit
    room: Workroom
    build: BuildReport
    box: BoxKind
    seed: int
    stop: Stop
    hangs: Stop  # set when a test that runs under Valgrind too was found to hang

    def with_seed(self, seed: int) -> "Bench":
        """The same, with other random tests."""
        return replace(self, seed=seed)


@dataclass(frozen=True)
class Session:
    """How a test binary ended, and what it and the box wrote."""

    ended: Ended
    status: int
    explanation: str
    output: str
    log: str
    seconds: float


def run_test(bench: Bench, name: str) -> TestRun:
    """One test in a fresh box."""
    limits = bench.lab.limits
    session = _session(bench, _stage(bench), [name], limits=limits)
    if session.ended is Ended.DEADLINE:
        status: Status = "fail"
        message = f"did not end in {limits.deadline_s} s"
    else:
        status = {PASSED: "pass", FAILED: "fail", HUNG: "fail"}.get(session.status, "error")  # type: ignore[assignment]
        message = explanation(session.explanation) if status == "fail" else ""
        if status == "error":
            message = _broken(session)
    return TestRun(
        name=name,
        status=status,
        message=message,
        output=session.output,
        seconds=session.seconds,
        hung=session.ended is Ended.DEADLINE or session.status == HUNG,
    )


def run_memcheck(bench: Bench) -> MemcheckRun:
    """The tests of [memcheck], in one box, with the stage under Valgrind.

    Ended early when one of them was found to hang, which takes very long to
    find out under Valgrind.
    """
    lab = bench.lab
    if lab.memcheck is None:
        raise GraderError(f"lab {lab.name} has no [memcheck]")
    if bench.build.submission and memcheck.has_client_request(bench.build.submission):
        return MemcheckRun("fail", message=memcheck.REFUSED)
    need_tool("valgrind")
    limits = replace(
        lab.limits,
        cpu_s=lab.limits.cpu_s * VALGRIND_FACTOR,
        deadline_s=lab.limits.deadline_s * VALGRIND_FACTOR,
        memory_bytes=VALGRIND_BYTES,
    )
    # A socket: the submission could open a pipe once more, by way of /proc/self/fd.
    ours, theirs = socket.socketpair()
    log = (ours.detach(), theirs.detach())
    words = ["valgrind", *memcheck.OPTIONS, f"--log-fd={log[1]}", "--"]
    stage = (*words, *_stage(bench), "--log-fd", str(log[1]))
    session = _session(
        bench, stage, lab.memcheck.tests, limits=limits, log=log, patient=True, cancel=bench.hangs
    )
    if session.ended is Ended.STOPPED:
        return MemcheckRun("fail", message=HANGS, seconds=session.seconds)
    if session.ended is Ended.DEADLINE:
        message = f"the tests did not end under Valgrind in {limits.deadline_s} s"
        return MemcheckRun("fail", message=message, seconds=session.seconds)
    if session.status not in (PASSED, FAILED, HUNG):
        return MemcheckRun("error", message=_broken(session), seconds=session.seconds)
    report = memcheck.parse(session.log, files=lab.files)
    status: Status = "pass"
    message = ""
    if report.findings:
        status, message = "fail", f"Valgrind found {memcheck.count(report.findings)}"
    elif not report.complete:
        status = "fail"
        message = "Valgrind's report is not complete: " + report.missing
    return MemcheckRun(status, message, findings=report.findings, seconds=session.seconds)


def explanation(text: str) -> str:
    """What the test says: the assertion, where it stands, the last calls made."""
    what: list[str] = []
    calls: list[str] = []
    place = ""
    in_calls = False
    for line in text.splitlines():
        rest = line.removeprefix(ERROR_MARK).removeprefix("ERROR: ")
        in_calls = line.startswith("calls of ") or (in_calls and line.startswith("  "))
        if line.startswith(END_MARK):
            break
        if rest.startswith(LINE_MARK):
            place = rest.removeprefix(LINE_MARK).removesuffix(": error: Failure!")
        elif in_calls:
            calls.append(line)
        elif rest.strip():
            what.append(rest)
    return "\n".join([*what, *([f"at {Path(place).name}"] if place else []), *calls])


def _broken(session: Session) -> str:
    how = f"status {session.status}"
    if session.status < 0:
        how = signal.Signals(-session.status).name
    return f"the test program ended with {how}: {session.explanation.strip()[-2000:]}"


def _stage(bench: Bench) -> tuple[str | Path, ...]:
    """The stage's command line; _session() adds the descriptor."""
    return (bench.room.kit / "puppet", "--submission", bench.room.made / "submission.so")


def _session(
    bench: Bench,
    stage: Sequence[str | Path],
    names: Sequence[str],
    *,
    limits: Limits,
    log: tuple[int, int] | None = None,
    patient: bool = False,
    cancel: Stop | None = None,
) -> Session:
    """Starts box and test binary with the two ends of one socket; waits for both."""
    if bench.stop.is_set:
        raise Interrupted
    started = time.monotonic()
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs:
        job = Job(
            argv=(*stage, "--fork-server", str(theirs.fileno())),
            views=bench.room.memcheck_views if log else bench.room.run_views,
            limits=limits,
            group=bench.room.group,
            fds=(theirs.fileno(), *log[1:]) if log else (theirs.fileno(),),
        )
        box = bench.box.start(job)
        try:
            test, said = _start_test(bench, names, stage_fd=ours.fileno(), patient=patient)
        except OSError as error:
            end_box(box, Watch({box.output: Sink(0)}))
            raise GraderError(f"the test program cannot be started: {error}") from error
    explanation, output, logged = (
        Sink(EXPLANATION_BYTES),
        Sink(limits.output_bytes),
        Sink(LOG_BYTES),
    )
    pipes = {said: explanation, box.output: output}
    if log:
        os.close(log[1])
        pipes[log[0]] = logged
    watch = Watch(pipes, [bench.stop, cancel] if cancel else [bench.stop])
    try:
        ended = watch.wait(test.pid, seconds=limits.deadline_s)
    finally:
        if test.poll() is None:
            test.kill()
            test.wait()
        end_box(box, watch, patience_s=END_SECONDS)
    if bench.stop.is_set:
        raise Interrupted
    return Session(
        ended=ended,
        status=test.returncode,
        explanation=explanation.text(),
        output=output.text(),
        log=logged.text(),
        seconds=time.monotonic() - started,
    )


def _start_test(
    bench: Bench, names: Sequence[str], *, stage_fd: int, patient: bool
) -> tuple[subprocess.Popen[bytes], int]:
    """The test binary, and the reading end of its explanations."""
    argv = [str(bench.kit.test_graded), "--seed", str(bench.seed), "--fork-server", str(stage_fd)]
    argv += ["--programs", bench.box.seen(bench.room.programs, bench.room.run_views)]
    argv += ["--shared"] if bench.box.shares_objects else []
    argv += ["--timeout-factor", str(VALGRIND_FACTOR)] if patient else []
    read, write = os.pipe()
    try:
        process = subprocess.Popen(
            [*argv, *names],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=write,
            env=TEST_ENVIRONMENT,
            pass_fds=(stage_fd,),
            start_new_session=True,
        )
    except OSError:
        os.close(read)
        raise
    finally:
        os.close(write)
    return process, read
