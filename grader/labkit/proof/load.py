"""A busy machine, to prove that no verdict depends on speed."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

BUSY_PROCESSES: Final = 4
# They end with this process, however it ends.
SPIN: Final = ("setpriv", "--pdeathsig", "KILL", "sh", "-c", "while :; do :; done")


@contextmanager
def busy_machine(processes: int = BUSY_PROCESSES) -> Iterator[None]:
    """Runs processes that busy-wait until the end of the block."""
    busy = [subprocess.Popen(SPIN, stdin=subprocess.DEVNULL) for _ in range(processes)]
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()
