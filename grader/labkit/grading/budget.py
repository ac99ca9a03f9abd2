"""The time that all tests of a submission may use together, or its Valgrind pass.

A loaded machine must not cost a point.  So a run is charged for the CPU time of its sandbox, or for
the time that passed, times the share of it that its test binary got when it could run.
"""

import os
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

CLOCK_TICKS: Final = os.sysconf("SC_CLK_TCK")
# Processes of a submission load the machine too: this bounds how much later a run is ended.
MAX_STRETCH: Final = 5


@dataclass
class Budget:
    """Seconds to use; several threads charge it."""

    seconds: float
    used: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def is_used_up(self) -> bool:
        """Whether nothing is left."""
        return self.used >= self.seconds

    def allows(self, seconds: float) -> bool:
        """Whether a run that goes on may have used that many."""
        return self.used + seconds < self.seconds

    def charge(self, seconds: float) -> None:
        """Takes what a run has used."""
        with self._lock:
            self.used += seconds


def share(pid: int) -> float:
    """The share of the time in which a process could run that it did run; 1 if unknown."""
    try:
        ran, waited = map(int, Path(f"/proc/{pid}/schedstat").read_text().split()[:2])
    except (OSError, ValueError):
        return 1.0
    return ran / (ran + waited) if ran else 1.0


def cpu_seconds(pid: int) -> float:
    """The CPU time of a process that has ended, and of those that it has waited for."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / CLOCK_TICKS


def is_stopped(pid: int) -> bool:
    """Whether a process was stopped by a signal."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] == "T"
