"""Valgrind's log: which findings count, and when it is complete."""

from pathlib import Path
from typing import Final

import pytest

from labkit.grading.memcheck import CLIENT_REQUEST, TAMPERED, has_client_request, parse
from labkit.result import Finding, Place

PUPPET = """\
**5** submission loaded
==5== All heap blocks were freed -- no leaks are possible
==5== ERROR SUMMARY: 0 errors from 0 contexts (suppressed: 0 from 0)
**1** puppet 5 ended
"""
FORK_SERVER = """\
==1==
==1== ERROR SUMMARY: 0 errors from 0 contexts (suppressed: 0 from 0)
"""
ENDED = PUPPET + FORK_SERVER
OFF = "=={}== Handling new value --leak-check=no for option --leak-check=no\n"
ON = "=={}== Handling new value --leak-check=full for option --leak-check=full\n"

INVALID = """\
==5== Invalid write of size 4
==5==    at 0x10A234: put (ring.c:17)
==5==    by 0x10A555: ring_put (ring.c:40)
==5==    by 0x10B000: invoke (puppet.c:120)
==5==  Address 0x4a is 0 bytes after a block of size 16 alloc'd
==5==    at 0x4840F83: malloc (vg_replace_malloc.c:307)
==5==
"""

LEAK = """\
=={pid}== 24 (16 direct, 8 indirect) bytes in 1 blocks are definitely lost in loss record 3 of 9
=={pid}==    at 0x4840F83: malloc (vg_replace_malloc.c:307)
=={pid}==    by 0x10A555: ring_open (ring.c:12)
=={pid}==
"""


def test_a_finding_shows_the_students_lines_only() -> None:
    """Frames of the kit and of libc are left out; the innermost frame comes first."""
    report = parse(INVALID + ENDED, files=["ring.c"])
    assert report.findings == (
        Finding(
            "Invalid write of size 4",
            (Place("put", "ring.c", 17), Place("ring_put", "ring.c", 40)),
        ),
    )
    assert report.complete


def test_a_forked_child_is_told_what_it_did() -> None:
    """Valgrind's note that the kit changed an option there (log_no_leaks()) is no finding."""
    notes = OFF.format(5) + OFF.format(7) + ON.format(5)
    assert parse(notes + INVALID + ENDED, files=["ring.c"]) == parse(
        INVALID + ENDED, files=["ring.c"]
    )


KITS: Final = "==5==    by 0x10B100: main (main.c:90)\n==5==  Address"


def test_an_error_without_a_frame_of_the_students_does_not_count() -> None:
    """Errors of the kit or libc are not the student's: below them is the kit's main()."""
    kits = INVALID.replace("==5==  Address", KITS)
    assert parse(kits + ENDED, files=["other.c"]).findings == ()


def test_a_thread_without_a_frame_of_the_students_is_the_students() -> None:
    """It can begin with a function of libc; the kit has no threads."""
    [finding] = parse(INVALID + ENDED, files=["other.c"]).findings
    assert finding.where == (Place("put", "submission.so", 0),)
    assert parse(INVALID.replace("==5==", "==7==") + ENDED, files=["other.c"]).findings == ()


def test_a_leak_without_a_frame_of_the_students_is_the_students() -> None:
    """The kit has no leaks; a jump to malloc() leaves no frame."""
    leak = LEAK.format(pid=5).replace("ring_open (ring.c:12)", "main (main.c:90)")
    [finding] = parse(leak + ENDED, files=["ring.c"]).findings
    assert finding.where == (Place("malloc", "submission.so", 0),)
    assert parse(leak.replace("==5==", "==7==") + ENDED, files=["ring.c"]).findings == ()


def test_a_frame_in_the_library_counts_without_debug_information() -> None:
    """Code without line numbers is still the student's."""
    log = (
        "==5== Invalid read of size 1\n==5==    at 0x4: f (in /submission/submission.so)\n==5== \n"
    )
    report = parse(log + ENDED, files=["ring.c"])
    assert report.findings == (
        Finding("Invalid read of size 1", (Place("f", "submission.so", 0),)),
    )


def test_a_frame_in_the_library_counts_whatever_its_file_is_called() -> None:
    """#line can set any file name, but not another address."""
    log = "**5** submission at 10a000 to 10a800\n" + INVALID.replace("ring.c", "string.h") + ENDED
    report = parse(log, files=["ring.c"])
    assert [f.where for f in report.findings] == [
        (Place("put", "submission.so", 0), Place("ring_put", "submission.so", 0))
    ]


def test_the_same_finding_counts_once() -> None:
    """Two puppets that leak at one place have one bug."""
    log = LEAK.format(pid=5) + LEAK.format(pid=6) + PUPPET + PUPPET.replace("5", "6") + FORK_SERVER
    assert len(parse(log, files=["ring.c"]).findings) == 1


def test_leaks_of_one_place_are_added_up() -> None:
    """All leaks of one line are one finding."""
    more = LEAK.format(pid=5).replace("24 (16 direct, 8 indirect)", "1,000").replace("1 bl", "9 bl")
    report = parse(LEAK.format(pid=5) + more + ENDED, files=["ring.c"])
    assert [f.message for f in report.findings] == ["1024 bytes in 10 blocks are definitely lost"]


def test_a_leak_of_a_forked_child_does_not_count() -> None:
    """A child that calls exec or _exit need not free memory."""
    assert parse(LEAK.format(pid=7) + ENDED, files=["ring.c"]).findings == ()
    assert len(parse(INVALID.replace("==5==", "==7==") + ENDED, files=["ring.c"]).findings) == 1


def test_a_puppet_that_ended_without_a_summary_makes_the_report_incomplete() -> None:
    """A submission that stops Valgrind before its summary gets no memory points."""
    report = parse("**5** submission loaded\n**1** puppet 5 ended\n" + FORK_SERVER, files=[])
    assert report.missing == "a process wrote no summary at its end"
    report = parse(PUPPET + "==5== Invalid write of size 4\n" + FORK_SERVER, files=[])
    assert report.missing == "a process wrote no summary at its end"


@pytest.mark.parametrize("end", ["", "==1==\n", FORK_SERVER.replace("==1==", "==7==")])
def test_a_log_that_ends_before_valgrind_does_is_void(end: str) -> None:
    """The fork server ends last; a submission that closes the log hides what comes after."""
    report = parse(PUPPET + end, files=[])
    assert report.missing == "it ends before Valgrind does"


@pytest.mark.parametrize(
    "line", ["anything", "x==5== ", "**5** 1 test passed", "**5** puppet 5 ended", "[9 more bytes]"]
)
def test_a_log_with_lines_that_valgrind_did_not_write_is_void(line: str) -> None:
    """Each of its lines is whole, and begins with the process."""
    assert parse(f"{line}\n{ENDED}", files=[]).missing == "it has lines that Valgrind did not write"
    warning = "--5-- WARNING: unhandled amd64-linux syscall: 434\n"
    assert parse(warning + ENDED, files=[]).complete


@pytest.mark.parametrize(
    "lines",
    [
        OFF.format(5),
        ON.format(5) + OFF.format(5) * 2,
        "==5== Handling new value --show-leak-kinds=none for option --show-leak-kinds\n",
        "==7== Handling new value --leak-check=summary for option --leak-check\n",
        "==5== Handling new value -q for option -q\n",
        "==5== Cannot change --undef-value-errors option dynamically\n",
        "==5== WARNING: exiting thread has error reporting disabled.\n",
        "==5== WARNING: exiting program has the following client-requested\n",
    ],
)
def test_a_submission_that_changes_what_is_reported_voids_it(lines: str) -> None:
    """Only the kit changes options: a puppet switches leaks off and on while it forks."""
    assert parse(lines + ENDED, files=[]).missing == TAMPERED


def test_a_puppet_that_was_not_checked_for_leaks_voids_the_report() -> None:
    """Whatever the reason: each report says what was lost, or that all was freed."""
    freed = "==5== All heap blocks were freed -- no leaks are possible\n"
    assert parse(ENDED.replace(freed, ""), files=[]).missing == TAMPERED
    assert parse(ENDED.replace(freed, "==5== LEAK SUMMARY:\n"), files=[]).complete


def test_a_killed_puppet_needs_no_summary() -> None:
    """Tests may kill puppets, and a failed test kills all of its puppets."""
    assert parse("**6** submission loaded\n" + ENDED, files=[]).complete


def test_an_empty_log_is_not_complete() -> None:
    """Without evidence there are no points."""
    assert not parse("", files=[]).complete


def test_output_of_a_student_is_not_taken_for_the_log() -> None:
    """Only complete lines with the marks of Valgrind count."""
    assert not parse("x **5** submission loaded\n", files=[]).complete


def test_a_client_request_to_valgrind_is_found(tmp_path: Path) -> None:
    """The instructions are found at any offset in the file."""
    path = tmp_path / "submission.so"
    path.write_bytes(b"\x00" * 4095 + CLIENT_REQUEST + b"\x00")
    assert has_client_request(path)
    path.write_bytes(b"\x00" * 4095 + CLIENT_REQUEST[1:])
    assert not has_client_request(path)
