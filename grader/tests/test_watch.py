"""Waits for a process with a deadline."""

import os
import subprocess

from labkit.sandbox.watch import Ended, Watch


def test_a_wait_of_0_seconds_notices_an_ended_process() -> None:
    """With 0 seconds it polls once."""
    with subprocess.Popen(["true"]) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert Watch({}).wait(process.pid, seconds=0) is Ended.DONE


def test_a_wait_of_0_seconds_does_not_wait() -> None:
    """If the process is running, the deadline has passed."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
        assert Watch({}).wait(process.pid, seconds=0) is Ended.DEADLINE
