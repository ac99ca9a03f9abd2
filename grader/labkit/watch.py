"""Waiting with a deadline: drains pipes into capped buffers while processes run.

The one loop of the grader.  It never sleeps in steps: it wakes when a byte
arrives, a process ends, the deadline is over, or the run is stopped.
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
    """Why a wait is over."""

    DONE = auto()
    DEADLINE = auto()
    STOPPED = auto()


@dataclass
class Sink:
    """Keeps the first `limit_bytes` of what is written to a pipe, drops the rest."""

    limit_bytes: int
    kept: bytearray = field(default_factory=bytearray)
    dropped_bytes: int = 0

    def feed(self, data: bytes) -> None:
        """Takes what was read."""
        room = self.limit_bytes - len(self.kept)
        self.kept += data[:room]
        self.dropped_bytes += max(0, len(data) - room)

    def text(self) -> str:
        """What was kept, as text whatever the bytes were."""
        text = self.kept.decode("utf-8", errors="replace")
        if self.dropped_bytes:
            text += f"\n[{self.dropped_bytes} more bytes were cut]\n"
        return text


class Stop:
    """A signal to every waiting thread that the run is to end now."""

    def __init__(self) -> None:
        self.fd = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self.is_set = False

    def set(self) -> None:
        """Wakes every wait, now and later."""
        self.is_set = True
        os.eventfd_write(self.fd, 1)

    def close(self) -> None:
        """Gives the descriptor back."""
        os.close(self.fd)


class Watch:
    """Drains the given pipes; `wait` ends when a process does.

    The pipes are closed at their end of file or in close().
    """

    def __init__(self, pipes: Mapping[int, Sink], stops: Sequence[Stop] = ()) -> None:
        self.pipes = dict(pipes)
        self.stops = tuple(stops)
        self.poll = select.poll()
        for fd in self.pipes:
            os.set_blocking(fd, False)
            self.poll.register(fd, select.POLLIN)

    def wait(self, pid: int, *, seconds: float) -> Ended:
        """Until the child `pid` has ended (it is not reaped), or the time is over.

        Looks once also when there is no time at all.
        """
        deadline = time.monotonic() + seconds
        pidfd = os.pidfd_open(pid)
        self.poll.register(pidfd, select.POLLIN)
        for stop in self.stops:
            self.poll.register(stop.fd, select.POLLIN)
        try:
            while True:
                left = deadline - time.monotonic()
                ready = {fd for fd, _ in self.poll.poll(max(0.0, left) * 1000)}
                for fd in ready & self.pipes.keys():
                    self._read(fd)
                if pidfd in ready:
                    return Ended.DONE
                if any(stop.is_set for stop in self.stops):
                    return Ended.STOPPED
                if left <= 0:
                    return Ended.DEADLINE
        finally:
            self.poll.unregister(pidfd)
            os.close(pidfd)
            for stop in self.stops:
                self.poll.unregister(stop.fd)

    def _read(self, fd: int) -> bool:
        """Takes one chunk; False when there is none at the moment or never again."""
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
        """Takes what is still in the pipes (at most what a pipe holds), then closes them."""
        for fd in list(self.pipes):
            for _ in range(16):
                if not self._read(fd):
                    break
        for fd in self.pipes:
            os.close(fd)
        self.pipes.clear()
