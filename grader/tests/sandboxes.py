"""Runs shell scripts and programs in sandboxes, for the tests of sandboxes."""

import subprocess
from pathlib import Path
from typing import Final

import pytest

from labkit.limits import Limits
from labkit.sandbox.detect import SANDBOXES, problem_of
from labkit.sandbox.interface import Job, Kind, Mount, Outcome, SandboxKind, run_job

LIMITS: Final = Limits(cpu_s=2, processes=30, output_bytes=1000)
PROTECTING: Final[tuple[Kind, ...]] = ("bwrap", "uid")


def available_kind(name: Kind) -> SandboxKind:
    """A kind of sandbox; skips the test if this machine cannot make it."""
    problem = problem_of(name)
    if problem:
        pytest.skip(f"{name}: {problem}")
    return SANDBOXES[name]


def shell(
    kind: SandboxKind, script: str, *, seconds: float = 20, limits: Limits = LIMITS
) -> Outcome:
    """Runs a script in a sandbox."""
    return run_job(kind, Job(argv=("sh", "-c", script), mounts=(), limits=limits), seconds=seconds)


def compiled(name: str, folder: Path) -> Path:
    """A C file of this directory, compiled into a directory that sandboxes can mount."""
    folder.chmod(0o755)
    source = Path(__file__).with_name(name)
    program = folder / source.stem
    subprocess.run(["gcc", "-D_GNU_SOURCE", "-o", program, source], check=True)
    return program


def run_program(kind: SandboxKind, program: Path, *, ptrace: bool = False) -> Outcome:
    """Runs a program in a sandbox that mounts its directory."""
    job = Job((program,), (Mount(program.parent, "/shown"),), LIMITS, ptrace=ptrace)
    return run_job(kind, job, seconds=20)
