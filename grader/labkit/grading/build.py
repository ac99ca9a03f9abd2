"""Compiles a submission, in a sandbox, with the lab's fixed command line.

Any failure of the compiler, including one that exceeds the limits of time or memory, is the
student's compile error.  A sandbox or a compiler that does not start, or that is killed, is a
grader error, if it happens twice.

Where warnings have points, the output of the preprocessor is checked for code that silences them.
"""

import os
import re
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from labkit.errors import GraderError, Interrupted
from labkit.grading.outcomes import BuildReport
from labkit.grading.repeat import twice
from labkit.grading.silenced import silenced
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
PREPROCESS: Final = 'echo ready >&2; exec gcc -E -Wpedantic -fno-diagnostics-show-caret "$@"'
NOT_DELIVERED: Final = 99
# What gcc says when it, or a program that it starts, could not run or was killed.
DRIVER_FAILED: Final = re.compile(
    r"^(?:gcc|collect2): fatal error: "
    r"(?:cannot execute|v?fork|posix_spawn|Killed signal terminated|.* terminated with signal 9 )"
    r"|^sh: .*fork",
    re.MULTILINE,
)
# What it says of an error in the code, or of a limit.  Then the above is not the reason, but a
# file name of #line.  Quoted source lines do not count.
CODE_FAILED: Final = re.compile(
    r"^(?! *(?:\d+ *)?\|).*:\d+: (?:fatal )?error: "
    r"|^(?:gcc|cc1|collect2): (?:internal compiler )?error: "
    r"|out of memory allocating|memory exhausted",
    re.MULTILINE,
)
SHELL_SIGNAL: Final = 128  # a shell and bwrap exit with this plus the signal
BY_LIMIT: Final = frozenset({signal.SIGXCPU, signal.SIGXFSZ})
# The number of digits is bounded: a file's name may contain a number that is too long for int().
WARNING: Final = re.compile(
    r"^(?:(?:\./)?(.*?):(\d{1,10}):(?:\d{1,10}:)?|cc1:) warning: (.*)$", re.MULTILINE
)
QUOTED: Final = re.compile(r" *(?:\d+ *)?\|")  # the start of a quoted source line
TOO_MUCH: Final = "gcc:0: warning: the compiler's output was truncated\n"
NOT_CHECKED: Final = Diagnostic("gcc", 0, "the preprocessor's output is too much to be checked")


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
    compiler = Compiler(directory, sandbox, cancel)
    tasks = [partial(compiler.compile, target) for target in targets]
    if lab.warnings:
        tasks += [partial(compiler.check, target) for target in targets]
    done = in_threads(THREADS, tasks, cancel=cancel)
    made = [target for target in targets if target.name.exists()]
    text = "".join(dict.fromkeys(one.output for one in done))
    hidden = dict.fromkeys(d for one in done for d in one.silenced)
    return BuildReport(
        ok=len(made) == len(targets),
        submission=library,
        programs=directory.programs,
        output=text,
        warnings=(*find_warnings(text), *hidden),
    )


@dataclass(frozen=True)
class Compiled:
    """What one run of gcc said, and which lines of the code silence it."""

    output: str = ""
    silenced: tuple[Diagnostic, ...] = ()


@dataclass(frozen=True)
class Compiler:
    """Runs gcc for one submission; a run in which the grader fails is repeated once."""

    directory: WorkingDirectory
    sandbox: SandboxKind
    cancel: CancelEvent

    def compile(self, target: Target) -> Compiled:
        """Compiles a target, which exists only on success."""
        unfinished = target.name.with_suffix(".partial")
        outcome = twice(
            partial(self._run, COMPILE, target, (*target.sources, *target.given), unfinished)
        )
        output = outcome.output.removeprefix(READY)
        if outcome.ended is Ended.DEADLINE:
            late = f"the compiler did not finish within {COMPILER_LIMITS.deadline_s} s"
            return Compiled(f"{output}\n{late}\n")
        if outcome.status:
            end = how_ended(outcome.status)
            return Compiled(output or f"the compiler {end}: it exceeded its time or memory limit\n")
        unfinished.rename(target.name)
        return Compiled(output + (TOO_MUCH if outcome.cut else ""))

    def check(self, target: Target) -> Compiled:
        """Preprocesses a target, and looks for code that silences warnings."""
        path = target.name.with_suffix(".i")
        outcome = twice(partial(self._run, PREPROCESS, target, target.sources, path))
        with path.open(encoding="utf-8", errors="replace") as lines:
            found = silenced(lines, outcome.output)
        path.unlink()
        if outcome.ended is Ended.DEADLINE or outcome.cut or (outcome.status and not found):
            found = (NOT_CHECKED,)
        return Compiled(silenced=found)

    def _run(
        self, script: str, target: Target, sources: Sequence[str | Path], output: Path
    ) -> Outcome:
        """Runs gcc in a sandbox; its standard output becomes a file."""
        include = self.sandbox.path_inside(self.directory.include, self.directory.compile_mounts)
        flags = (*target.flags, "-iquote", include)
        names = [f"./{name}" if isinstance(name, str) else name for name in sources]
        fd = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC)
        try:
            os.fchmod(fd, 0o755)
            job = Job(
                argv=("sh", "-c", script, "sh", *flags, *names),
                mounts=self.directory.compile_mounts,
                limits=COMPILER_LIMITS,
                cwd=self.directory.src,
                stdout=fd,
                group=self.directory.group,
                devices=False,
            )
            outcome = run_job(
                self.sandbox, job, seconds=COMPILER_LIMITS.deadline_s, cancel=self.cancel
            )
        finally:
            os.close(fd)
        if outcome.ended is Ended.CANCELLED:
            raise Interrupted
        _check_compiler_worked(outcome)
        return outcome


def _check_compiler_worked(outcome: Outcome) -> None:
    """Raises GraderError if sandbox or compiler did not start, were killed, or lost the output."""
    details = f"it {how_ended(outcome.status)}; output: {outcome.output.strip()[-500:] or 'none'}"
    if not outcome.output.startswith(READY):
        raise GraderError(f"the compiler's sandbox did not start: {details}")
    if outcome.status == NOT_DELIVERED:
        raise GraderError(f"the compiled file could not be copied out of the sandbox: {details}")
    if outcome.status and outcome.ended is Ended.DONE and not _is_students(outcome):
        raise GraderError(f"the compiler could not run, or was killed: {details}")


def _is_students(outcome: Outcome) -> bool:
    """Whether the code is the reason why gcc failed: an error in it, or a limit."""
    said = outcome.output.removeprefix(READY)
    ended_by = -outcome.status if outcome.status < 0 else outcome.status - SHELL_SIGNAL
    if ended_by in BY_LIMIT or CODE_FAILED.search(said):
        return True
    return bool(said.strip()) and not DRIVER_FAILED.search(said)


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
