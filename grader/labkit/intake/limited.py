"""Runs a function on hostile input in a forked process with limits, and returns its result.

The limits are of CPU time, memory and written files.  A submission that exceeds them is refused;
only a process that ends for another reason is a failure of the grader.  The process is forked
without exec, which takes about a millisecond; its result comes back as bytes over a pipe.
"""

import os
import resource
import select
import signal
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Final, NoReturn

import msgspec

from labkit.errors import GraderError, SubmissionError

CPU_SECONDS: Final = 10  # 64 MiB of bzip2, the slowest format, take 4
MEMORY_BYTES: Final = 512 << 20  # more than the grader's own
DEADLINE_SECONDS: Final = 300  # for a file system that does not answer
CRASHES: Final = (signal.SIGSEGV, signal.SIGBUS, signal.SIGABRT, signal.SIGFPE, signal.SIGILL)


class _Returned(msgspec.Struct, tag="returned"):
    value: bytes


class _Refused(msgspec.Struct, tag="refused"):
    message: str


class _Failed(msgspec.Struct, tag="failed"):
    message: str


_Outcome = _Returned | _Refused | _Failed


def limited(work: Callable[[], bytes], *, what: str) -> bytes:
    """The value of work(), or its SubmissionError; `what` names the submission in messages."""
    try:
        read, write = os.pipe()
    except OSError as error:
        raise GraderError(f"intake cannot start: {error.strerror}") from error
    with os.fdopen(read, "rb", buffering=0) as pipe:
        try:
            pid = os.fork()
        except OSError as error:
            os.close(write)
            raise GraderError(f"intake cannot start: {error.strerror}") from error
        if pid == 0:
            _child(work, write)
        os.close(write)
        try:
            reply = _receive(pipe.fileno())
        except BaseException:  # interrupted, or too late
            os.kill(pid, signal.SIGKILL)
            raise
        finally:
            status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return _judge(reply, status, what)


def _receive(pipe: int) -> bytes:
    """All that the process writes."""
    pieces: list[bytes] = []
    deadline = time.monotonic() + DEADLINE_SECONDS
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    while poll.poll(max(0, deadline - time.monotonic()) * 1000):
        piece = os.read(pipe, 1 << 20)
        if not piece:
            return b"".join(pieces)
        pieces.append(piece)
    raise GraderError(f"the submission could not be read within {DEADLINE_SECONDS} s")


def _judge(reply: bytes, status: int, what: str) -> bytes:
    if status == -signal.SIGXCPU:
        raise SubmissionError(
            f"{what} takes more than {CPU_SECONDS} s to read: "
            "pack only the files that the lab asks for"
        )
    if -status in CRASHES:
        raise SubmissionError(
            f"{what} crashes the program that reads it ({signal.Signals(-status).name}): "
            "pack it again, as a .zip or a .tar.gz"
        )
    if status != 0:
        raise GraderError(f"intake ended with status {status}")
    outcome: _Outcome = msgspec.msgpack.decode(reply, type=_Outcome)
    match outcome:
        case _Returned(value):
            return value
        case _Refused(message):
            raise SubmissionError(message)
        case _Failed(message):
            raise GraderError(f"intake failed: {message}")


# ---- in the child -----------------------------------------------------------


def _child(work: Callable[[], bytes], pipe: int) -> NoReturn:
    status = 1
    try:
        _set_limits()
        with os.fdopen(pipe, "wb") as file:
            file.write(msgspec.msgpack.encode(_outcome(work)))
        status = 0
    finally:
        os._exit(status)


def _outcome(work: Callable[[], bytes]) -> _Outcome:
    try:
        return _Returned(work())
    except SubmissionError as error:
        return _Refused(str(error))
    except MemoryError:
        return _Refused(
            f"the submission takes more than {MEMORY_BYTES >> 20} MiB of memory to read: "
            "pack only the files that the lab asks for"
        )
    except Exception:  # noqa: BLE001  (the parent raises it)
        return _Failed(traceback.format_exc())


def _set_limits() -> None:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    limits = (
        (resource.RLIMIT_AS, pages * resource.getpagesize() + MEMORY_BYTES),
        (resource.RLIMIT_CPU, CPU_SECONDS),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
    )
    for number, value in limits:
        hard = resource.getrlimit(number)[1]
        most = value if hard == resource.RLIM_INFINITY else min(value, hard)
        # SIGXCPU comes at the soft limit and names the reason, SIGKILL a second later
        resource.setrlimit(number, (most, most + 1 if most == value else most))
