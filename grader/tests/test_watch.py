"""Waiting for a process, with a deadline."""

import os
import subprocess

from labkit.sandbox.watch import Ended, Watch


def test_what_has_ended_is_noticed_without_any_time() -> None:
    """A wait of no seconds looks once."""
    with subprocess.Popen(["true"]) as process:
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert Watch({}).wait(process.pid, seconds=0) is Ended.DONE


def test_what_runs_is_left_alone_without_any_time() -> None:
    """A wait of no seconds does not wait."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as process:
        assert Watch({}).wait(process.pid, seconds=0) is Ended.DEADLINE
