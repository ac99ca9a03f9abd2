"""Tasks in a few threads, and signals that end them."""

import select
import signal
import sys
import threading
import time
import traceback

import pytest

from labkit.grading.threads import in_threads
from labkit.sandbox.watch import CancelEvent

DEADLINE_MS = 60_000


def test_results_come_in_the_order_of_the_tasks() -> None:
    """The order in which the tasks end does not matter."""
    second_is_done = threading.Event()

    def first() -> str:
        second_is_done.wait(DEADLINE_MS / 1000)
        return "first"

    def second() -> str:
        second_is_done.set()
        return "second"

    assert in_threads(2, [first, second], cancel=CancelEvent()) == ["first", "second"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_any_thread_ends_the_running_tasks(
    number: signal.Signals,
) -> None:
    """Python runs signal handlers only in the main thread, which is blocked in join()."""
    stop = CancelEvent()
    seen: list[object] = []

    def waits() -> None:
        _wait_until_the_main_thread_joins()
        signal.pthread_kill(threading.get_ident(), number)
        poll = select.poll()
        poll.register(stop.fd, select.POLLIN)
        seen.append(poll.poll(DEADLINE_MS))

    def is_not_started() -> None:
        seen.append("started")

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(number, interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            in_threads(1, [waits, is_not_started], cancel=stop)
    finally:
        signal.signal(number, before)
    assert seen == [[(stop.fd, select.POLLIN)]]
    stop.close()


def _wait_until_the_main_thread_joins() -> None:
    main = threading.main_thread().ident
    assert main is not None
    deadline = time.monotonic() + DEADLINE_MS / 1000
    while "join" not in {f.name for f in traceback.extract_stack(sys._current_frames()[main])}:
        assert time.monotonic() < deadline
        time.sleep(0.001)
