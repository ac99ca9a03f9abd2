"""Reads Valgrind's log: the findings that count, and whether the log is complete.

Memcheck runs inside the process that it watches, so its log is evidence and not a verdict.  There
are points only if every puppet that exited normally also wrote its summary.  A finding counts only
if its stack has a frame in the student's code.

Puppets and fork server write to the log which processes are puppets.  All others are children that
the student's code forked, and their leaks do not count.  The log also has the addresses of the
student's code: #line can forge the file of a frame, but not its address.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
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
ENDED: Final = re.compile(r"^\*\*\d{1,10}\*\* puppet (\d{1,10}) ended$")
FRAME: Final = re.compile(r"^ +(?:at|by) 0x([0-9A-F]{1,16}): (.+) \(([^()]*)\)$")
PLACE: Final = re.compile(r"^([^:/]+):(\d{1,10})$")
LEAK: Final = re.compile(
    r"^([\d,]{1,30}) (?:\([^()]*\) )?bytes in ([\d,]{1,30}) blocks are (\w+) lost$"
)
MAX_PLACES: Final = 100  # address ranges of the code; few, as one process forks all puppets
SUMMARY: Final = "ERROR SUMMARY: "
# What Valgrind says of log_leaks() (valgrind_log.h), with no empty line before the next record.
OPTION_CHANGED: Final = "Handling new value "
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


def parse(log: str, *, files: Collection[str]) -> Report:
    """Findings with a frame in `files` or in submission.so, each once."""
    lines: dict[int, list[str]] = {}
    loaded, ended = set(), set()
    code: set[range] = set()
    for line in log.splitlines():
        if match := LINE.match(line):
            text = "" if match[2].startswith(OPTION_CHANGED) else match[2]
            lines.setdefault(int(match[1]), []).append(text)
        elif match := LOADED.match(line):
            loaded.add(int(match[1]))
        elif (match := LOADED_AT.match(line)) and len(code) <= MAX_PLACES:
            code.add(range(int(match[1], 16), int(match[2], 16)))
        elif match := ENDED.match(line):
            ended.add(int(match[1]))
    findings: dict[Finding, None] = {}
    for pid, texts in lines.items():
        for record in _records(texts):
            where = tuple(_places(record, files, code))
            if where and (pid in loaded or not _is_leak(record)):
                findings[Finding(message=_message(record), where=where)] = None
    silent = [p for p in loaded & ended if not any(SUMMARY in t for t in lines.get(p, []))]
    missing = f"process {silent[0]} wrote no summary" if silent else ""
    if len(code) > MAX_PLACES:
        missing = "it names too many address ranges of the code"
    if not loaded & ended:
        missing = "no process exited normally"
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
