"""Drives the trusted test binary against a sandbox, once for every graded test.

The exit status of the test binary (TestExit) is the verdict.  The output of a submission never
influences it.  A run without a verdict is repeated once, in a new sandbox; then it is a grader
error.  If a sandbox ended after the submission's code had run, the test fails if it can be said how
the submission did that.
"""

import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import IntEnum
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from labkit.errors import GraderError, Interrupted
from labkit.grading import memcheck
from labkit.grading.budget import MAX_STRETCH, Budget, cpu_seconds, is_stopped, share
from labkit.grading.outcomes import BuildReport, MemcheckRun, TestRun
from labkit.grading.repeat import twice
from labkit.grading.working_directory import WorkingDirectory
from labkit.lab.kit import Kit
from labkit.lab.manifest import Lab, Memcheck
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
CHECK_SECONDS: Final = 1.0  # between two looks at the budget
# The prefixes that cmocka writes before a failed assertion, its place, and the summary.
ERROR_MARK: Final = "[  ERROR   ] --- "
LINE_MARK: Final = "[   LINE   ] --- "
END_MARK: Final = "[  PASSED  ]"
RULE_MARK: Final = "rule: "  # the prefix that the test binary writes before the rule

HEAP: Final = re.compile(r"^heap: ([a-z0-9_]{1,200}) (-?\d{1,10})$", re.MULTILINE)
BROKEN_MARK: Final = "grader error: "  # what the test binary writes before it exits with 3

HANGS: Final = "one of the tests that run under Valgrind hangs"
USED_UP: Final = "the submission's time budget of {} s was used up by {}"
SIGNALLED: Final = 128  # bwrap exits with this plus the signal that ended the sandbox

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
    SANDBOX_ENDED = 5  # after the submission's code had run: whose fault, the grader must find out


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
    budget: Budget | None = None  # None: without a limit

    def with_seed(self, seed: int) -> "CompiledSubmission":
        """The same submission, with another seed for its random tests."""
        return replace(self, seed=seed)


@dataclass(frozen=True)
class BinaryRun:
    """How a test binary and its sandbox ended, and what they wrote."""

    ended: Ended
    over_budget: bool  # the test binary was killed for it
    status: int
    sandbox_status: int | None  # None: the grader had to kill the sandbox
    sandbox_stopped: bool
    out_of_memory: bool  # the kernel killed processes meanwhile
    explanation: str
    output: str
    log: str
    seconds: float


def run_test(submission: CompiledSubmission, name: str) -> TestRun:
    """Runs one test in a fresh sandbox, or in two if the first run has no verdict."""
    try:
        return twice(partial(_run_test, submission, name))
    except GraderError as error:
        return TestRun(name, "error", message=str(error), log=error.log)


def _run_test(submission: CompiledSubmission, name: str) -> TestRun:
    """Runs one test; GraderError if there is no verdict."""
    limits, budget = submission.lab.limits, submission.budget
    if budget and budget.is_used_up:
        message = USED_UP.format(limits.budget_s, "the tests that ran before this one")
        return TestRun(name, "fail", message=message, over_budget=True)
    table = submission.lab.memcheck
    run = _run_binary(
        submission,
        _fork_server(submission),
        [name],
        limits=limits,
        budget=budget,
        count_heap=table is not None and name in table.tests,
    )
    hung = run.over_budget or run.ended is Ended.DEADLINE or run.status == TestExit.HUNG
    status: Status = "fail"
    if run.over_budget:
        message = USED_UP.format(limits.budget_s, "this test and those that ran before it")
    elif run.ended is Ended.DEADLINE:
        message = f"did not finish within {limits.deadline_s} s"
    elif run.status == TestExit.PASSED:
        status, message = "pass", ""
    elif run.status in (TestExit.FAILED, TestExit.HUNG):
        message = explanation(run.explanation)
    else:
        message = _ended_by_submission(run)
    return TestRun(
        name=name,
        status=status,
        message=message,
        output=run.output,
        seconds=run.seconds,
        hung=hung,
        over_budget=run.over_budget,
        blocks=_blocks(run).get(name),
    )


def _blocks(run: BinaryRun) -> dict[str, int]:
    """The blocks that each test left allocated, as the test binary counted them."""
    return {match[1]: int(match[2]) for match in HEAP.finditer(run.explanation)}


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
    try:
        need_tool("valgrind")
        return twice(partial(_run_memcheck, submission, lab.memcheck))
    except GraderError as error:
        return MemcheckRun("error", message=str(error), log=error.log)


def _run_memcheck(submission: CompiledSubmission, table: Memcheck) -> MemcheckRun:
    """Runs the tests under Valgrind; GraderError if there is no verdict.

    The memory points depend on what Valgrind found, also if a test hangs there and nowhere else: it
    may need a system call that Valgrind does not know.
    """
    lab = submission.lab
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
            table.tests,
            limits=limits,
            budget=Budget(table.budget_s),
            count_heap=True,
            log=(ours, theirs),
        )
    if run.ended is Ended.CANCELLED:
        budget = submission.budget
        over = budget is not None and budget.is_used_up
        message = USED_UP.format(lab.limits.budget_s, "its tests") if over else HANGS
        return MemcheckRun("fail", message=message, complete=False, seconds=run.seconds)
    too_long = run.over_budget or run.ended is Ended.DEADLINE
    if not too_long and run.status not in (TestExit.PASSED, TestExit.FAILED, TestExit.HUNG):
        message = _ended_by_submission(run)
        return MemcheckRun("fail", message=message, complete=False, seconds=run.seconds)
    report = memcheck.parse(run.log, files=lab.files)
    status: Status = "pass"
    message = ""
    if report.findings:
        status, message = "fail", f"Valgrind found {memcheck.count(report.findings)}"
    elif not report.complete:
        status = "fail"
        message = f"Valgrind's report is not complete: {report.missing}"
    if status == "fail" and too_long:
        message += f"; the tests used up their time budget of {table.budget_s} s there"
    return MemcheckRun(
        status,
        message,
        complete=report.complete,
        findings=report.findings,
        blocks=_blocks(run),
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
        if line.startswith(RULE_MARK) or HEAP.match(line):
            continue  # reports show the rule separately
        if rest.startswith(LINE_MARK):
            place = rest.removeprefix(LINE_MARK).removesuffix(": error: Failure!")
        elif in_calls:
            calls.append(line)
        elif rest.strip():
            what.append(rest)
    return "\n".join([*what, *([f"at {Path(place).name}"] if place else []), *calls])


def _ended_by_submission(run: BinaryRun) -> str:
    """How the submission ended its sandbox; GraderError if that cannot be said."""
    doing = _doing(run)
    if run.status == TestExit.SANDBOX_ENDED and doing:
        return f"the submission ended its sandbox: {doing}"
    reasons = [line for line in run.explanation.splitlines() if line.startswith(BROKEN_MARK)]
    message = f"the test binary {how_ended(run.status)}"
    if run.status == TestExit.SANDBOX_ENDED:
        message = "the sandbox ended, and it is not known why"
    if run.sandbox_status:
        message += f"; the sandbox {how_ended(run.sandbox_status)}"
    said = (run.explanation.strip()[-2000:], run.output.strip()[-500:])
    raise GraderError(
        "; ".join([message, *(line.removeprefix(BROKEN_MARK) for line in reasons[-1:])]),
        log="the test binary wrote: {}\nlast output of the sandbox: {}".format(
            *(text or "nothing" for text in said)
        ),
    )


def _doing(run: BinaryRun) -> str:
    """What the submission did to the first process of its sandbox; "" if nothing is known.

    When memory runs out, the kernel kills processes of the sandbox, and it is unknown whose memory
    that was.
    """
    if run.sandbox_stopped:
        return "its first process was stopped by a signal"
    status = run.sandbox_status or 0
    number = -status if status < 0 else status - SIGNALLED
    if number <= 0 or (number == signal.SIGKILL and run.out_of_memory):
        return ""
    return f"its first process {how_ended(-number)}"


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
    budget: Budget | None,
    count_heap: bool,
    log: tuple[socket.socket, socket.socket] | None = None,
) -> BinaryRun:
    """Starts a sandbox and the test binary, connected by a socket pair, and waits for both.

    `log` is a socket pair for Valgrind's log, in the Valgrind pass.  Its first socket is the
    grader's, and is closed here; the second is the sandbox's.
    """
    if submission.cancel.is_set:
        raise Interrupted
    kills = _out_of_memory_kills()
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
        started = time.monotonic()  # it may have waited for its turn
        factor = submission.kit.valgrind_factor if log else 1
        try:
            test, said = _start_binary(
                submission,
                names,
                socket_fd=ours.fileno(),
                timeout_factor=factor,
                count_heap=count_heap,
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
        ended, over_budget = _wait(watch, test.pid, limits.deadline_s, budget)
        used = time.monotonic() - started
        if ended is not Ended.DEADLINE:
            used *= share(test.pid)
    finally:
        if test.poll() is None:
            test.kill()
            test.wait()
        stopped = is_stopped(sandbox.pid)
        watch.events = ()
        grace_s = 0 if stopped else END_SECONDS * factor  # Valgrind's fork server looks for leaks
        ended_itself = watch.wait(sandbox.pid, seconds=grace_s) is Ended.DONE
        cpu = cpu_seconds(sandbox.pid) if ended_itself else 0.0
        end_sandbox(sandbox, watch)
    if submission.cancel.is_set:
        raise Interrupted
    if budget:
        budget.charge(max(used, cpu))
    return BinaryRun(
        ended=ended,
        over_budget=over_budget,
        status=test.returncode,
        sandbox_status=sandbox.process.returncode if ended_itself else None,
        sandbox_stopped=stopped,
        out_of_memory=_out_of_memory_kills() > kills,
        explanation=explained.text(),
        output=output.text(),
        log=logged.text(),
        seconds=time.monotonic() - started,
    )


def _wait(watch: Watch, pid: int, deadline_s: float, budget: Budget | None) -> tuple[Ended, bool]:
    """Waits for the test binary; also returns whether its time was over for the budget."""
    started = time.monotonic()
    longest_s = min(deadline_s, MAX_STRETCH * budget.seconds) if budget else deadline_s
    while True:
        left = longest_s - (time.monotonic() - started)
        ended = watch.wait(pid, seconds=min(CHECK_SECONDS, max(0.0, left)))
        if ended is not Ended.DEADLINE:
            return ended, False
        if left <= CHECK_SECONDS:
            return ended, longest_s < deadline_s
        if budget and not budget.allows((time.monotonic() - started) * share(pid)):
            return ended, True


def _out_of_memory_kills() -> int:
    """How many processes the kernel has killed because memory ran out; 0 if unknown."""
    try:
        lines = Path("/proc/vmstat").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)


def _start_binary(
    submission: CompiledSubmission,
    names: Sequence[str],
    *,
    socket_fd: int,
    timeout_factor: int,
    count_heap: bool,
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
    if timeout_factor > 1:  # under Valgrind, where it takes long to detect a hang
        arguments.append("--stop-at-hang")
    if count_heap:
        arguments.append("--count-heap")
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
