"""A few functions at a time, results in order; concurrent.futures costs 8 ms to import."""

import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Final, TypeVar

from labkit.sandbox.watch import CancelEvent

T = TypeVar("T")

LOOK_SECONDS: Final = 0.1
"""How often the main thread looks for a signal while it waits for the others.

Python runs a signal handler when the main thread runs next: a main thread that is asleep in join()
sleeps on when the kernel delivered the signal to another thread, or just before it fell asleep.
"""


def in_threads(threads: int, tasks: Sequence[Callable[[], T]], *, cancel: CancelEvent) -> list[T]:
    """Runs the tasks in the order of the list, at most `threads` at once.

    The first exception (in order of the tasks) is raised once all have ended.
    Ctrl-C sets `cancel`, which ends what runs, and is seen by the caller when it has ended.
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
                worker.join(LOOK_SECONDS)
    if problems:
        raise problems[min(problems)]
    return [results[i] for i in range(len(tasks))]


@contextmanager
def _interrupts_cancel(cancel: CancelEvent) -> Iterator[None]:
    """Ctrl-C and SIGTERM set `cancel` in the block; at its end their handlers are as before.

    An exception there could come between a thread's start and the note that it was started.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # signals are the main thread's
        return
    came: list[int] = []

    def note(number: int, frame: object) -> None:  # noqa: ARG001  (the interface)
        came.append(number)
        cancel.set()

    before = {number: signal.signal(number, note) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if came:
        signal.raise_signal(came[0])
