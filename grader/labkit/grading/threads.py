"""Runs tasks in a few threads, without concurrent.futures, whose import takes 8 ms."""

import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, TypeVar

from labkit.sandbox.watch import CancelEvent

T = TypeVar("T")

SIGNAL_CHECK_SECONDS: Final = 0.1
"""How often the main thread wakes up to run signal handlers while it waits for other threads.

Python runs a signal handler when the main thread runs next.  join() does not return early if the
kernel delivers the signal to another thread, or just before the main thread blocks.
"""


def in_threads(threads: int, tasks: Sequence[Callable[[], T]], *, cancel: CancelEvent) -> list[T]:
    """Starts the tasks in list order, at most `threads` at a time; returns their results.

    The first exception in list order is raised when all tasks have ended.  Ctrl-C sets `cancel`,
    which ends the running tasks; the caller gets its exception after that.
    """
    waiting = deque(enumerate(tasks))
    results: dict[int, T] = {}
    problems: dict[int, BaseException] = {}

    def work() -> None:
        while not cancel.is_set:
            try:
                index, task = waiting.popleft()
            except IndexError:
                return
            try:
                results[index] = task()
            except BaseException as problem:  # noqa: BLE001  (raised again below)
                problems[index] = problem

    workers = [threading.Thread(target=work) for _ in range(min(threads, len(tasks)))]
    with _interrupts_cancel(cancel):
        for worker in workers:
            worker.start()
        for worker in workers:
            while worker.is_alive():
                worker.join(SIGNAL_CHECK_SECONDS)
    if problems:
        raise problems[min(problems)]
    return [results[i] for i in range(len(tasks))]


@contextmanager
def _interrupts_cancel(cancel: CancelEvent) -> Iterator[None]:
    """SIGINT and SIGTERM set `cancel` in the block; afterwards they have their old handlers.

    A handler that raises an exception could interrupt the start of a thread half-way.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread handles signals
        return
    received: list[int] = []

    def record(number: int, frame: object) -> None:  # noqa: ARG001  (the interface)
        received.append(number)
        cancel.set()

    before = {number: signal.signal(number, record) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if received:
        signal.raise_signal(received[0])
