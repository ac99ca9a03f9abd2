"""A busy machine, to prove that no verdict depends on speed."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

BUSY_PROCESSES: Final = 4


@contextmanager
def busy_machine() -> Iterator[None]:
    """Runs processes that busy-wait until the end of the block."""
    busy = [
        subprocess.Popen(["sh", "-c", "while :; do :; done"], stdin=subprocess.DEVNULL)
        for _ in range(BUSY_PROCESSES)
    ]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()
