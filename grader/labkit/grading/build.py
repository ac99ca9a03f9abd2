"""Compiles a submission, in a sandbox, with the lab's fixed command line.

Any failure of the compiler, including one that exceeds the limits of time or memory, is the
student's compile error.  A sandbox or a compiler that does not start is a grader error.
"""

import os
import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from labkit.errors import GraderError, Interrupted
from labkit.grading.outcomes import BuildReport
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
# The compiled file goes to standard output, which is a file that the grader opened.  So the sandbox
# needs no writable directory of the host.
COMPILE: Final = (
    'echo ready >&2; out=$TMPDIR/out; gcc "$@" -o "$out" >&2 || exit 1; exec cat "$out" || exit 99'
)
NOT_DELIVERED: Final = 99
# The number of digits is bounded: a file's name may contain a number that is too long for int().
WARNING: Final = re.compile(
    r"^(?:(?:\./)?(.*?):(\d{1,10}):(?:\d{1,10}:)?|cc1:) warning: (.*)$", re.MULTILINE
)
QUOTED: Final = re.compile(r" *(?:\d+ *)?\|")  # the start of a quoted source line
TOO_MUCH: Final = "gcc:0: warning: the compiler's output was truncated\n"


@dataclass(frozen=True)
class Target:
    """A file to compile."""

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
    """Compiles submission.so and the student's programs into directory.made."""
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
    """Compiles a target; returns the compiler's output.  The target exists only on success."""
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
        return f"{output}\nthe compiler did not finish within {COMPILER_LIMITS.deadline_s} s\n"
    if outcome.status:
        end = how_ended(outcome.status)
        return output or f"the compiler {end}: it exceeded its time or memory limit\n"
    unfinished.rename(target.name)
    return output + (TOO_MUCH if outcome.cut else "")


def _check_sandbox_worked(outcome: Outcome) -> None:
    """Raises GraderError if the sandbox did not start or the compiled file was lost."""
    details = f"it {how_ended(outcome.status)}; output: {outcome.output.strip()[-500:] or 'none'}"
    if not outcome.output.startswith(READY):
        raise GraderError(f"the compiler's sandbox did not start: {details}")
    if outcome.status == NOT_DELIVERED:
        raise GraderError(f"the compiled file could not be copied out of the sandbox: {details}")


def find_warnings(output: str) -> tuple[Diagnostic, ...]:
    """The warnings, each once.  They count in any file, because #line can set any file name.

    Such a name can make a warning look like a quoted source line, and a quoted line can look like
    a warning.  Matches that look like quoted lines count only if there are no others.
    """
    found = dict.fromkeys(
        Diagnostic(file=m[1] or "gcc", line=int(m[2] or 0), message=m[3])
        for m in WARNING.finditer(output)
    )
    return tuple(d for d in found if not QUOTED.match(d.file)) or tuple(found)
