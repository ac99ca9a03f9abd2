"""Reads Valgrind's log: the findings that count, and whether the log is complete.

Memcheck runs inside the process that it watches, so its log is evidence and not a verdict.  There
are points only if every puppet that exited normally also wrote its summary, and after them the fork
server, which ends last; if nothing stands between the lines of Valgrind and of the kit; and if no
option was changed but by the kit (log_leaks(), valgrind_log.c).

A finding counts if its stack has a frame in the student's code.  A thread that begins with malloc()
has none, so a puppet's leaks always count, and its other errors if the stack has no main() either.

A client request to Valgrind changes what is reported.  The code of the kit, of Valgrind's own
library and of every heap block is executable under Valgrind 3.19, so requests cannot be prevented.
What they do to options or to the log shows here, and score.py compares how many blocks a test left
allocated in both runs.  What remains possible: to hide an invalid access by a request and to undo
that, or to behave differently under Valgrind, other than by freeing more there.

Puppets and fork server write to the log which processes are puppets.  All others are children that
the student's code forked, and their leaks do not count.  The log also has the addresses of the
student's code: #line can forge the file of a frame, but not its address.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from labkit.result import Finding, Place

OPTIONS: Final = ("--tool=memcheck", "--vgdb=no", "--time-stamp=no")  # besides those of lab.mk

# rol rdi, 3; 13; 61; 51: the instructions that begin a client request to Valgrind.
CLIENT_REQUEST: Final = bytes.fromhex("48C1C703 48C1C70D 48C1C73D 48C1C733")
REFUSED: Final = (
    "the compiled code contains a client request to Valgrind, so its report does not count"
)

# Student code can find the descriptor of the log and write to it.  So the number of digits is
# bounded, because int() rejects very long numbers, and every pattern takes linear time.
LINE: Final = re.compile(r"^==(\d{1,10})== ?(.*)$")
LOADED: Final = re.compile(r"^\*\*(\d{1,10})\*\* submission loaded$")
LOADED_AT: Final = re.compile(
    r"^\*\*\d{1,10}\*\* submission at ([0-9a-f]{1,16}) to ([0-9a-f]{1,16})$"
)
ENDED: Final = re.compile(r"^\*\*(\d{1,10})\*\* puppet (\d{1,10}) ended$")
OTHER: Final = re.compile(r"^(?:--\d{1,10}-- ?|vex )")  # what Valgrind says about itself
FRAME: Final = re.compile(r"^ +(?:at|by) 0x([0-9A-F]{1,16}): (.+) \(([^()]*)\)$")
PLACE: Final = re.compile(r"^([^:/]+):(\d{1,10})$")
LEAK: Final = re.compile(
    r"^([\d,]{1,30}) (?:\([^()]*\) )?bytes in ([\d,]{1,30}) blocks are (\w+) lost$"
)
MAX_PLACES: Final = 100  # address ranges of the code; few, as one process forks all puppets
SUMMARY: Final = "ERROR SUMMARY: "
ALL_FREED: Final = "All heap blocks were freed"
LEAK_SUMMARY: Final = "LEAK SUMMARY:"
# What Valgrind says of log_leaks() (valgrind_log.h), with no empty line before the next record.
LEAKS_OFF: Final = "Handling new value --leak-check=no for option --leak-check=no"
LEAKS_ON: Final = "Handling new value --leak-check=full for option --leak-check=full"
OPTION: Final = re.compile(r"^(?:Handling new value |Cannot change )")
LEFT_OFF: Final = (
    "WARNING: exiting thread has error",
    "WARNING: exiting program has the following",
)
TAMPERED: Final = "the submission changed what Valgrind reports"
SUBMISSION: Final = "submission.so"


@dataclass(frozen=True)
class Report:
    """What a log says about the student's code."""

    findings: tuple[Finding, ...]
    complete: bool
    missing: str = ""  # why it is not complete


def has_client_request(path: Path) -> bool:
    """Whether a file contains the instructions of a client request."""
    return CLIENT_REQUEST in path.read_bytes()


@dataclass
class Log:
    """The lines of a log, sorted by what they say."""

    lines: dict[int, list[str]] = field(default_factory=dict)  # of Valgrind, by process
    loaded: set[int] = field(default_factory=set)  # the puppets
    ended: set[int] = field(default_factory=set)  # normally
    fork_servers: set[int] = field(default_factory=set)  # one, unless these lines are forged
    code: set[range] = field(default_factory=set)  # the addresses of the submission
    last: int = 0  # the process of the last line
    foreign: bool = False  # there is a line that neither Valgrind nor the kit wrote

    def add(self, line: str) -> None:
        """Sorts one line."""
        if match := LINE.match(line):
            self.last = int(match[1])
            self.lines.setdefault(self.last, []).append(match[2])
        elif match := LOADED.match(line):
            self.loaded.add(int(match[1]))
        elif match := LOADED_AT.match(line):
            if len(self.code) <= MAX_PLACES:
                self.code.add(range(int(match[1], 16), int(match[2], 16)))
        elif match := ENDED.match(line):
            self.fork_servers.add(int(match[1]))
            self.ended.add(int(match[2]))
        elif line and not OTHER.match(line):
            self.foreign = True

    def missing(self) -> str:
        """Why the log is not complete; "" if it is."""
        if not self.loaded & self.ended:
            return "no process exited normally"
        if len(self.code) > MAX_PLACES:
            return "it names too many address ranges of the code"
        if self.foreign or len(self.fork_servers) != 1:
            return "it has lines that Valgrind did not write"
        if not all(self._ends_with_summary(pid) for pid in self.loaded & self.ended):
            return "a process wrote no summary at its end"
        [fork_server] = self.fork_servers
        if self.last != fork_server or not self._ends_with_summary(fork_server):
            return "it ends before Valgrind does"
        if any(map(self._is_tampered_with, self.lines)):
            return TAMPERED
        return ""

    def _ends_with_summary(self, pid: int) -> bool:
        texts = [text for text in self.lines.get(pid, []) if text.strip()]
        return bool(texts) and texts[-1].startswith(SUMMARY)

    def _is_tampered_with(self, pid: int) -> bool:
        """Whether a process changed an option in another way than log_leaks(), or left one off.

        A puppet switches leaks off while it forks a child, which inherits that.
        """
        texts = self.lines[pid]
        changes = [text for text in texts if OPTION.match(text)]
        if any(text.startswith(LEFT_OFF) for text in texts) or {*changes} - {LEAKS_OFF, LEAKS_ON}:
            return True
        if pid not in self.loaded & self.ended:
            return False
        unchecked = not any(text.startswith((ALL_FREED, LEAK_SUMMARY)) for text in texts)
        return unchecked or changes.count(LEAKS_OFF) != changes.count(LEAKS_ON)


def parse(text: str, *, files: Collection[str]) -> Report:
    """Findings with a frame in `files` or in submission.so, each once."""
    log = Log()
    for line in text.split("\n"):
        log.add(line)
    findings: dict[Finding, None] = {}
    for pid, texts in log.lines.items():
        for record in _records(["" if OPTION.match(text) else text for text in texts]):
            where = tuple(_places(record, files, log.code))
            if pid in log.loaded:
                where = where or _without_places(record)
            elif _is_leak(record):
                continue
            if where:
                findings[Finding(message=_message(record), where=where)] = None
    missing = log.missing()
    return Report(findings=_merged(findings), complete=not missing, missing=missing)


def count(findings: Sequence[Finding]) -> str:
    """The number of findings, as text."""
    return f"{len(findings)} problem" + ("" if len(findings) == 1 else "s")


def _records(texts: Sequence[str]) -> Iterator[list[str]]:
    """Blocks of lines, separated by empty lines, that contain a stack."""
    record: list[str] = []
    for text in (*texts, ""):
        if text.strip():
            record.append(text)
            continue
        if any(FRAME.match(line) for line in record):
            yield record
        record = []


def _is_leak(record: Sequence[str]) -> bool:
    return " lost in loss record " in record[0]


def _merged(findings: Collection[Finding]) -> tuple[Finding, ...]:
    """The findings, with leaks at the same place added up."""
    merged: list[Finding] = []
    sums: dict[tuple[str, tuple[Place, ...]], tuple[int, int]] = {}
    for finding in findings:
        leak = LEAK.match(finding.message)
        if leak is None:
            merged.append(finding)
            continue
        key = (leak[3], finding.where)
        size, blocks = sums.get(key, (0, 0))
        sums[key] = (size + _number(leak[1]), blocks + _number(leak[2]))
    for (how, where), (size, blocks) in sums.items():
        merged.append(Finding(f"{size} bytes in {blocks} blocks are {how} lost", where))
    return tuple(merged)


def _number(text: str) -> int:
    return int(text.replace(",", ""))


def _message(record: Sequence[str]) -> str:
    """The first line, without the numbering of loss records."""
    text = record[0].strip()
    return re.sub(r" in loss record \d+ of \d+$", "", text)


def _without_places(record: Sequence[str]) -> tuple[Place, ...]:
    """The place of a puppet's finding whose stack has no frame in the student's code."""
    functions = [frame[2] for frame in map(FRAME.match, record) if frame]
    if "main" in functions and not _is_leak(record):
        return ()
    return (Place(function=functions[0], file=SUBMISSION, line=0),)


def _places(
    record: Sequence[str], files: Collection[str], code: Collection[range]
) -> Iterator[Place]:
    for line in record:
        frame = FRAME.match(line)
        if frame is None:
            continue
        address, function, place = int(frame[1], 16), frame[2], frame[3]
        at = PLACE.match(place)
        if at and at[1] in files:
            yield Place(function=function, file=at[1], line=int(at[2]))
        elif any(address in part for part in code) or (
            place.startswith("in ") and place.endswith(f"/{SUBMISSION}")
        ):
            yield Place(function=function, file=SUBMISSION, line=0)
