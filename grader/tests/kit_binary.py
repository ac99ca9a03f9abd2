"""The lab in kitlab/ and its test binaries, for the tests of the C test kit."""

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

KITLAB: Final = Path(__file__).parent / "kitlab"


def names_of_tests(source: Path) -> list[str]:
    """The tests that a C file registers with TEST(), in their order."""
    return re.findall(r"^TEST\((\w+),", source.read_text(encoding="utf-8"), flags=re.MULTILINE)


def run_binary(
    binary: Path, *arguments: str, prefix: Sequence[str] = (), user: int | None = None
) -> subprocess.CompletedProcess[str]:
    """Runs a test binary of a build directory with a fork server of its own.

    prefix: a command that runs it; user: the uid, if it is another one.
    """
    build = binary.parent
    return subprocess.run(
        [
            *prefix,
            binary,
            f"--puppet={build}/puppet",
            f"--submission={build}/submission.so",
            f"--programs={build}/programs",
            *arguments,
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        user=user,
    )
