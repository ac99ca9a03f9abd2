"""Waits for processes with a deadline, and drains pipes into capped buffers meanwhile.

It does not poll in intervals: it wakes when a byte arrives, a process ends, the deadline passes, or
the run is cancelled.
"""

import os
import select
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

CHUNK_BYTES: Final = 1 << 16


class Ended(Enum):
    """Why a wait ended."""

    DONE = auto()
    DEADLINE = auto()
    CANCELLED = auto()


@dataclass
class Sink:
    """Keeps the first `limit_bytes` bytes that are written to a pipe, and drops the rest."""

    limit_bytes: int
    kept: bytearray = field(default_factory=bytearray)
    dropped_bytes: int = 0

    def feed(self, data: bytes) -> None:
        """Keeps the data, up to the limit."""
        free = self.limit_bytes - len(self.kept)
        self.kept += data[:free]
        self.dropped_bytes += max(0, len(data) - free)

    def text(self) -> str:
        """The kept bytes as text; invalid UTF-8 is replaced."""
        text = self.kept.decode("utf-8", errors="replace")
        if self.dropped_bytes:
            text += f"\n[{self.dropped_bytes} more bytes were cut]\n"
        return text


class CancelEvent:
    """Wakes every waiting thread when the run is cancelled."""

    def __init__(self) -> None:
        self.fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self.is_set = False

    def set(self) -> None:
        """Wakes every current and future wait."""
        self.is_set = True
        os.eventfd_write(self.fd, 1)

    def close(self) -> None:
        """Closes the descriptor."""
        os.close(self.fd)


class Watch:
    """Drains pipes while it waits for a process to end.

    Pipes are closed at end-of-file or in close().
    """

    def __init__(self, pipes: Mapping[int, Sink], events: Sequence[CancelEvent] = ()) -> None:
        self.pipes = dict(pipes)
        self.events = tuple(events)
        self.poll = select.poll()
        for fd in self.pipes:
            os.set_blocking(fd, False)
            self.poll.register(fd, select.POLLIN)

    def wait(self, pid: int, *, seconds: float) -> Ended:
        """Waits until the child `pid` has ended (it is not reaped), or the time has passed.

        With 0 seconds it polls once.
        """
        deadline = time.monotonic() + seconds
        pidfd = os.pidfd_open(pid)
        self.poll.register(pidfd, select.POLLIN)
        for event in self.events:
            self.poll.register(event.fd, select.POLLIN)
        try:
            while True:
                left = deadline - time.monotonic()
                ready = {fd for fd, _ in self.poll.poll(max(0.0, left) * 1000)}
                for fd in ready & self.pipes.keys():
                    self._read(fd)
                if pidfd in ready:
                    return Ended.DONE
                if any(event.is_set for event in self.events):
                    return Ended.CANCELLED
                if left <= 0:
                    return Ended.DEADLINE
        finally:
            self.poll.unregister(pidfd)
            os.close(pidfd)
            for event in self.events:
                self.poll.unregister(event.fd)

    def _read(self, fd: int) -> bool:
        """Reads one chunk; False when there is none at the moment, or at end-of-file."""
        try:
            data = os.read(fd, CHUNK_BYTES)
        except BlockingIOError:
            return False
        if data:
            self.pipes[fd].feed(data)
            return True
        self.poll.unregister(fd)
        del self.pipes[fd]
        os.close(fd)
        return False

    def close(self) -> None:
        """Reads what is left in the pipes (at most the capacity of a pipe), then closes them."""
        for fd in list(self.pipes):
            for _ in range(16):
                if not self._read(fd):
                    break
        for fd in self.pipes:
            os.close(fd)
        self.pipes.clear()
