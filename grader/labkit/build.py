"""Compiles a submission, in a box, with the lab's fixed command line.

Whatever a compiler does with a student's file, also taking for ever or all
memory, is the student's compile error.  Only a box or a compiler that never
started is the grader's.
"""

import os
import re
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from labkit.box import BoxKind, Job, run_job
from labkit.errors import GraderError, Interrupted
from labkit.kit import Kit, need_tool
from labkit.manifest import Lab, Limits
from labkit.threads import in_threads
from labkit.watch import Ended, Stop
from labkit.workroom import Workroom

COMPILER_LIMITS: Final = Limits(
    cpu_s=20, deadline_s=60, memory_bytes=1 << 30, file_bytes=64 << 20, tmpfs_bytes=128 << 20
)
THREADS: Final = 2
READY: Final = "ready\n"
# The result goes to standard output, which is a file that the grader opened:
# so no folder of the host has to be writable in a box.
COMPILE: Final = (
    'echo ready >&2; out=$TMPDIR/out; gcc "$@" -o "$out" >&2 || exit 1; exec cat "$out" || exit 99'
)
NOT_DELIVERED: Final = 99
# Numbers have an end, or a file's name could hold one that int() refuses.
WARNING: Final = re.compile(
    r"^(?:(?:\./)?(.*?):(\d{1,10}):(?:\d{1,10}:)?|cc1:) warning: (.*)$", re.MULTILINE
)
QUOTED: Final = re.compile(r" *(?:\d+ *)?\|")  # how a line of code begins that the compiler shows
TOO_MUCH: Final = "gcc:0: warning: the compiler said so much that not all of it was read\n"


@dataclass(frozen=True, order=True)
class Diagnostic:
    """A warning, at the line that the compiler names."""

    file: str
    line: int
    message: str


@dataclass(frozen=True)
class BuildReport:
    """What came of compiling a submission."""

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


def compile_submission(
    lab: Lab, kit: Kit, room: Workroom, *, box: BoxKind, stop: Stop
) -> BuildReport:
    """Makes submission.so and the student's programs in room.made."""
    need_tool("gcc")
    targets = []
    if lab.deliverables:
        flags = kit.submission_flags
        targets.append(Target(room.made / "submission.so", lab.deliverables, flags))
    for program in lab.programs:
        if not program.kit:
            targets.append(Target(room.programs / program.name, program.sources, kit.program_flags))
    outputs = in_threads(
        THREADS, [partial(_compile, t, room, box=box, stop=stop) for t in targets], stop=stop
    )
    made = [target for target in targets if target.name.exists()]
    text = "".join(dict.fromkeys(outputs))
    return BuildReport(
        ok=len(made) == len(targets),
        submission=room.made / "submission.so" if lab.deliverables else None,
        programs=room.programs,
        output=text,
        warnings=find_warnings(text),
    )


def _compile(target: Target, room: Workroom, *, box: BoxKind, stop: Stop) -> str:
    """Makes one target, or nothing; returns what the compiler said."""
    sources = tuple(f"./{name}" for name in target.sources)
    include = box.seen(room.include, room.compile_views)
    unfinished = target.name.with_suffix(".partial")
    fd = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o755)
    try:
        job = Job(
            argv=("sh", "-c", COMPILE, "sh", *target.flags, "-iquote", include, *sources),
            views=room.compile_views,
            limits=COMPILER_LIMITS,
            cwd=room.src,
            stdout=fd,
            group=room.group,
            devices=False,
        )
        outcome = run_job(box, job, seconds=COMPILER_LIMITS.deadline_s, stop=stop)
    finally:
        os.close(fd)
    if outcome.ended is Ended.STOPPED:
        raise Interrupted
    if not outcome.output.startswith(READY):
        raise GraderError(f"the compiler's box did not start: {outcome.output.strip()}")
    if outcome.status == NOT_DELIVERED:
        raise GraderError(f"the compiled file could not be taken out: {outcome.output[-500:]}")
    output = outcome.output.removeprefix(READY)
    if outcome.ended is Ended.DEADLINE:
        return f"{output}\nthe compiler did not end in {COMPILER_LIMITS.deadline_s} s\n"
    if outcome.status:
        return output or "the compiler was stopped: it used too much time or memory\n"
    unfinished.rename(target.name)
    return output + (TOO_MUCH if outcome.cut else "")


def find_warnings(output: str) -> tuple[Diagnostic, ...]:
    """The warnings, each once; in whatever file, for a #line can give any name.

    Such a name can also make a warning look like a line of code that is shown, and code can
    look like a warning: what looks like code counts when there is nothing else.
    """
    found = dict.fromkeys(
        Diagnostic(file=m[1] or "gcc", line=int(m[2] or 0), message=m[3])
        for m in WARNING.finditer(output)
    )
    return tuple(d for d in found if not QUOTED.match(d.file)) or tuple(found)
