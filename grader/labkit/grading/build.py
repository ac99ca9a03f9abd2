"""Compiles a submission, in a sandbox, with the lab's fixed command line.

Whatever a compiler does with a student's file, even if it takes for ever or all memory, is the
student's compile error.  Only a sandbox or a compiler that never started is the grader's.
"""

import os
import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from labkit.errors import GraderError, Interrupted
from labkit.grading.threads import in_threads
from labkit.grading.working_directory import WorkingDirectory
from labkit.lab.kit import Kit
from labkit.lab.manifest import Lab
from labkit.limits import Limits
from labkit.result import Diagnostic
from labkit.sandbox.interface import Job, Outcome, SandboxKind, how_ended, run_job
from labkit.sandbox.watch import CancelEvent, Ended
from labkit.tools import need_tool

COMPILER_LIMITS: Final = Limits(
    cpu_s=20, deadline_s=60, memory_bytes=1 << 30, file_bytes=64 << 20, tmpfs_bytes=128 << 20
)
THREADS: Final = 2
READY: Final = "ready\n"
# The result goes to standard output, which is a file that the grader opened: so no directory of
# the host has to be writable in a sandbox.
COMPILE: Final = (
    'echo ready >&2; out=$TMPDIR/out; gcc "$@" -o "$out" >&2 || exit 1; exec cat "$out" || exit 99'
)
NOT_DELIVERED: Final = 99
# The number of digits is bounded, or a file's name could hold a number that int() refuses.
WARNING: Final = re.compile(
    r"^(?:(?:\./)?(.*?):(\d{1,10}):(?:\d{1,10}:)?|cc1:) warning: (.*)$", re.MULTILINE
)
QUOTED: Final = re.compile(r" *(?:\d+ *)?\|")  # how a line of code begins that the compiler shows
TOO_MUCH: Final = "gcc:0: warning: the compiler said so much that not all of it was read\n"


@dataclass(frozen=True)
class BuildReport:
    """The outcome of compiling a submission."""

    ok: bool
    submission: Path | None  # submission.so, when the lab has one
    programs: Path
    output: str  # what the compiler said
    warnings: tuple[Diagnostic, ...]


@dataclass(frozen=True)
class Target:
    """One file to make."""

    name: Path
    sources: tuple[str, ...]
    flags: tuple[str, ...]
    given: tuple[Path, ...] = ()


def compile_submission(
    lab: Lab,
    kit: Kit,
    directory: WorkingDirectory,
    *,
    sandbox: SandboxKind,
    cancel: CancelEvent,
) -> BuildReport:
    """Makes submission.so and the student's programs in directory.made."""
    need_tool("gcc")
    targets = []
    library = directory.made / "submission.so" if lab.sources.submission else None
    if library:
        given = tuple(directory.include / path.name for path in kit.given)
        targets.append(Target(library, lab.sources.submission, kit.submission_flags, given))
    for program in lab.programs:
        if not program.given:
            name = directory.programs / program.name
            targets.append(Target(name, program.sources, kit.program_flags))
    compile_one = partial(_compile, directory=directory, sandbox=sandbox, cancel=cancel)
    outputs = in_threads(THREADS, [partial(compile_one, t) for t in targets], cancel=cancel)
    made = [target for target in targets if target.name.exists()]
    text = "".join(dict.fromkeys(outputs))
    return BuildReport(
        ok=len(made) == len(targets),
        submission=library,
        programs=directory.programs,
        output=text,
        warnings=find_warnings(text),
    )


def _compile(
    target: Target, *, directory: WorkingDirectory, sandbox: SandboxKind, cancel: CancelEvent
) -> str:
    """Makes one target, or nothing; returns what the compiler said."""
    include = sandbox.path_inside(directory.include, directory.compile_mounts)
    sources: list[str | Path] = [f"./{name}" for name in target.sources]
    sources += target.given
    unfinished = target.name.with_suffix(".partial")
    fd = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC)
    try:
        os.fchmod(fd, 0o755)
        job = Job(
            argv=("sh", "-c", COMPILE, "sh", *target.flags, "-iquote", include, *sources),
            mounts=directory.compile_mounts,
            limits=COMPILER_LIMITS,
            cwd=directory.src,
            stdout=fd,
            group=directory.group,
            devices=False,
        )
        outcome = run_job(sandbox, job, seconds=COMPILER_LIMITS.deadline_s, cancel=cancel)
    finally:
        os.close(fd)
    if outcome.ended is Ended.CANCELLED:
        raise Interrupted
    _check_sandbox_worked(outcome)
    output = outcome.output.removeprefix(READY)
    if outcome.ended is Ended.DEADLINE:
        return f"{output}\nthe compiler did not end in {COMPILER_LIMITS.deadline_s} s\n"
    if outcome.status:
        return (
            output or f"the compiler {how_ended(outcome.status)}: it used too much time or memory\n"
        )
    unfinished.rename(target.name)
    return output + (TOO_MUCH if outcome.cut else "")


def _check_sandbox_worked(outcome: Outcome) -> None:
    """A sandbox that never started, or a compiled file that is lost, is the grader's failure."""
    how = f"it {how_ended(outcome.status)}; output: {outcome.output.strip()[-500:] or 'none'}"
    if not outcome.output.startswith(READY):
        raise GraderError(f"the compiler's sandbox did not start: {how}")
    if outcome.status == NOT_DELIVERED:
        raise GraderError(f"the compiled file could not be copied out of the sandbox: {how}")


def find_warnings(output: str) -> tuple[Diagnostic, ...]:
    """The warnings, each once; in any file, for a #line can give any name.

    Such a name can also make a warning look like a line of code that the compiler quotes, and code
    can look like a warning: what looks like code counts only when there is nothing else.
    """
    found = dict.fromkeys(
        Diagnostic(file=m[1] or "gcc", line=int(m[2] or 0), message=m[3])
        for m in WARNING.finditer(output)
    )
    return tuple(d for d in found if not QUOTED.match(d.file)) or tuple(found)
