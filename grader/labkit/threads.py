"""A few functions at a time, results in order; concurrent.futures costs 8 ms to import."""

import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import TypeVar

from labkit.watch import Stop

T = TypeVar("T")


def in_threads(threads: int, tasks: Sequence[Callable[[], T]], *, stop: Stop) -> list[T]:
    """Runs the tasks in order of the list, at most so many at once.

    The first exception (in order of the tasks) is raised once all have ended.
    Ctrl-C sets `stop`, which ends what runs, and is raised when it has ended.
    """
    waiting = deque(enumerate(tasks))
    results: dict[int, T] = {}
    problems: dict[int, BaseException] = {}

    def work() -> None:
        while not stop.is_set:
            try:
                index, task = waiting.popleft()
            except IndexError:
                return
            try:
                results[index] = task()
            except BaseException as problem:  # noqa: BLE001  (raised again below)
                problems[index] = problem

    workers = [threading.Thread(target=work) for _ in range(min(threads, len(tasks)))]
    try:
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    except KeyboardInterrupt:
        stop.set()
        for worker in workers:
            if worker.ident is not None:  # it was started
                worker.join()
        raise
    if problems:
        raise problems[min(problems)]
    return [results[i] for i in range(len(tasks))]
