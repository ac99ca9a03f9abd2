"""Runs become points, and reports are written from a result."""

import re
import unicodedata
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from example import GRADED_TESTS, parsed
from hypothesis import example, given
from hypothesis import strategies as st

from labkit.errors import UsageError
from labkit.grading.build import find_warnings
from labkit.grading.outcomes import BuildReport, MemcheckRun, TestRun
from labkit.grading.run import explanation
from labkit.grading.score import Runs, Scored, describe, score
from labkit.lab.rubric import GradedTest
from labkit.report.junit import junit
from labkit.report.markdown import feedback
from labkit.report.terminal import summary
from labkit.report.text import one_line, without_controls
from labkit.result import (
    BuildInfo,
    Diagnostic,
    Finding,
    Place,
    Result,
    Shown,
    SubmissionInfo,
    from_json,
)

NASTY = "\x1b[31mred\x07 <script>alert(1)</script> ``` | *b* ::error::x \u202egnp \x00"

BUILT = BuildReport(ok=True, submission=None, programs=Path("/x"), output="", warnings=())
FINE = Runs(
    build=BUILT,
    tests={n: TestRun(n, "pass") for n in ("doubles", "keeps_the_sign")},
    memcheck=MemcheckRun("pass"),
    valgrind=True,
)


def scored(runs: Runs) -> Scored:
    """The rubric of the example lab."""
    return score(parsed(), GRADED_TESTS, runs, reproduce={"doubles": "make test TEST=doubles"})


def with_test(run: TestRun) -> Runs:
    """All tests pass, except one."""
    return replace(FINE, tests={**FINE.tests, run.name: run})


def result(runs: Runs) -> Result:
    """A result with the rubric of these runs."""
    done = scored(runs)
    return Result(
        lab="08-twice",
        title="Twice",
        status=done.status,
        score=done.score,
        max_score=done.max_score,
        submission=SubmissionInfo("doe " + NASTY, "00ff", ("twice.c",), ("a note",)),
        build=BuildInfo(runs.build.ok, runs.build.output, runs.build.warnings),
        tests=done.tests,
        memcheck=runs.memcheck.findings if runs.memcheck else (),
        groups={"all": "All of it"},
        limits={"cpu_s": 3},
        flags=("-O1",),
        compiler="gcc 12",
        sandbox="bwrap",
        kit="0+0",
        image=None,
        seed=1,
        seconds=0.5,
    )


def test_everything_right_is_all_points() -> None:
    """The score is 100 %."""
    assert (scored(FINE).score, scored(FINE).status) == (100, "graded")


def test_a_failed_test_loses_its_points_and_no_others() -> None:
    """There are no partial points for a test."""
    assert scored(with_test(TestRun("doubles", "fail"))).score == 70


def test_a_grader_error_is_never_a_score() -> None:
    """One test with a grader error leaves the submission without a score."""
    done = scored(with_test(TestRun("doubles", "error", message="the sandbox did not start")))
    assert (done.score, done.status) == (None, "error")
    done = scored(replace(FINE, memcheck=MemcheckRun("error", message="no Valgrind")))
    assert (done.score, done.status) == (None, "error")


def test_an_interrupted_run_has_no_score_and_says_what_was_not_run() -> None:
    """The results so far are kept; the status is incomplete."""
    runs = replace(FINE, tests={"doubles": TestRun("doubles", "pass")}, interrupted=True)
    done = scored(runs)
    assert (done.score, done.status) == (None, "incomplete")
    assert [t.status for t in done.tests] == ["pass", "error", "pass", "pass"]


def test_what_does_not_compile_fails_everything() -> None:
    """Every test, hidden ones too, shows that the submission does not compile."""
    done = scored(replace(FINE, build=replace(BUILT, ok=False, output="error: x"), tests={}))
    assert (done.score, done.status) == (0, "graded")
    assert {t.shown.message for t in done.tests} == {"the submission does not compile"}


def test_a_warning_costs_the_points_for_warnings_only() -> None:
    """The message names file and line."""
    warned = replace(BUILT, warnings=(Diagnostic("twice.c", 3, "unused variable 'x'"),))
    done = scored(replace(FINE, build=warned))
    assert done.score == 90
    assert "twice.c:3: unused" in done.tests[2].shown.message


def test_memory_points_need_a_test_that_passes() -> None:
    """An empty submission does not leak, but gets no memory points."""
    done = scored(with_test(TestRun("keeps_the_sign", "fail")))
    assert (done.score, done.tests[3].status) == (40, "fail")


def test_memory_points_without_a_passed_test_name_the_first_failed_one() -> None:
    """The message does not mention Valgrind's report, but the test to fix first."""
    runs = replace(
        with_test(TestRun("keeps_the_sign", "fail")),
        memcheck=MemcheckRun("fail", "x", complete=False),
    )
    message = scored(runs).tests[3].shown.message
    assert "memory points need one: keeps_the_sign failed first" in message


def test_a_refused_report_says_why_it_is_refused() -> None:
    """The message is the pass's own, whether a test passes or not."""
    refused = MemcheckRun("fail", "the report is void")
    runs = replace(with_test(TestRun("keeps_the_sign", "fail")), memcheck=refused)
    assert scored(runs).tests[3].shown.message == "the report is void"


def test_the_output_of_a_sandbox_that_broke_is_for_the_instructor() -> None:
    """It may hold what a hidden test's input made the submission print."""
    run = TestRun("keeps_the_sign", "error", message="the sandbox exited", log="printed 42")
    done = scored(with_test(run)).tests[1]
    assert done.shown.message == "the sandbox exited"
    assert done.log == "the sandbox exited\nprinted 42"


@pytest.mark.parametrize(("native", "blocks", "points"), [(3, 3, 20), (3, 4, 20), (3, 2, 0)])
def test_memory_that_is_freed_only_under_valgrind_costs_the_memory_points(
    native: int, blocks: int, points: float
) -> None:
    """The test binary counts the blocks in both runs; the numbers are for the instructor."""
    runs = with_test(TestRun("keeps_the_sign", "pass", blocks=native))
    check = MemcheckRun("pass", blocks={"keeps_the_sign": blocks})
    done = scored(replace(runs, memcheck=check)).tests[3]
    assert done.points == points
    if not points:
        assert "under Valgrind" in done.shown.message
        assert "keeps_the_sign: 3 blocks left allocated, 2 under" in done.log
        assert not re.search(r"\d", done.shown.message)


LEAKS = tuple(
    Finding(f"{n * 8} bytes in {n} blocks are definitely lost", (Place("keep", "twice.c", 9 + n),))
    for n in range(29, 0, -1)
)
PLACES = (Place("put", "twice.c", 7), Place("twice", "twice.c", 30))


def shown_of(findings: tuple[Finding, ...], tests: tuple[GradedTest, ...] = GRADED_TESTS) -> str:
    """What students see of the findings of a Valgrind pass, in every report."""
    check = MemcheckRun("fail", f"Valgrind found {len(findings)} problems", findings=findings)
    done = score(parsed(), tests, replace(FINE, memcheck=check), reproduce={})
    page = replace(result(FINE), tests=done.tests, memcheck=findings)
    assert all(describe(finding) in done.tests[3].log for finding in findings)
    message = done.tests[3].shown.message
    assert message.splitlines()[-1] in feedback(page)
    assert ("called by" in feedback(page)) == ("called by" in message)
    return message


def test_findings_of_hidden_tests_show_kind_and_line_only() -> None:
    """No size, no count, no stack: a submission would leak the inputs of the tests with them."""
    assert shown_of((Finding("Invalid write of size 4", PLACES),)).splitlines()[1:] == [
        "twice.c:7: invalid write"
    ]
    leak = shown_of(LEAKS[:1])
    assert leak.splitlines()[1:] == ["twice.c:38: memory is definitely lost"]
    assert shown_of((Finding("4711 of anything", PLACES),)).endswith("twice.c:7: memory error")


def test_at_most_ten_findings_of_hidden_tests_are_shown() -> None:
    """There is no total either, and their order says nothing."""
    shown = shown_of(LEAKS)
    assert len(shown.splitlines()) == 11
    assert "29" not in shown
    assert shown == shown_of(LEAKS[::-1])
    assert shown_of(LEAKS[:1]) == shown_of((*LEAKS[:1], *LEAKS[:1]))


def test_findings_of_open_tests_are_shown_in_full() -> None:
    """The student can run these tests under Valgrind, too."""
    tests = (GRADED_TESTS[0], replace(GRADED_TESTS[1], detail="open"))
    assert "twice.c:7: in put, called by twice (twice.c:30): Invalid write of size 4" in shown_of(
        (Finding("Invalid write of size 4", PLACES),), tests
    )


def test_without_valgrind_its_points_are_not_in_the_sum() -> None:
    """The maximum score is that of the tests that were run."""
    done = scored(replace(FINE, memcheck=None, valgrind=False))
    assert (done.score, done.max_score) == (80, 80)


def test_a_hidden_test_shows_its_rule_and_nothing_else() -> None:
    """Only open tests show message, output and command to reproduce."""
    run = TestRun("keeps_the_sign", "fail", message="twice(-2) returned 4", output="debug")
    hidden = scored(with_test(run)).tests[1]
    assert hidden.shown == Shown(name="keeps_the_sign", rule="It keeps the sign.")
    assert hidden.log == "twice(-2) returned 4"
    opened = scored(with_test(replace(run, name="doubles"))).tests[0].shown
    assert opened.message == "twice(-2) returned 4"
    assert (opened.output, opened.reproduce) == ("debug", "make test TEST=doubles")


def test_a_secret_test_shows_not_even_its_name() -> None:
    """No report for students shows it; the log for the instructor has everything."""
    run = TestRun("keeps_the_sign", "fail", message="twice(-2) returned 4")
    tests = (GRADED_TESTS[0], replace(GRADED_TESTS[1], detail="secret"))
    done = score(parsed(), tests, with_test(run), reproduce={})
    page = replace(result(FINE), tests=done.tests)
    for text in (feedback(page), summary(page, None), junit(page)):
        assert "secret_test_1" in text
        assert "keeps" not in text
        assert "returned" not in text
    assert done.tests[1].log == "twice(-2) returned 4"


def test_a_result_comes_back_from_its_json() -> None:
    """Reading the JSON yields the same result, whatever a student printed."""
    finding = Finding("Invalid read", (Place("f", "twice.c", 3),))
    warned = replace(BUILT, warnings=(Diagnostic("twice.c", 3, NASTY),))
    first = result(replace(FINE, build=warned, memcheck=MemcheckRun("fail", findings=(finding,))))
    assert from_json(first.to_json()) == first


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": "other"}', '{"schema": 1, "lab": 2}'])
def test_other_json_is_refused(text: str) -> None:
    """Text that is not a result is a UsageError."""
    with pytest.raises(UsageError):
        from_json(text)


def test_no_writer_lets_control_characters_through() -> None:
    """All reports replace the beginning of escape sequences."""
    nasty = result(with_test(TestRun("doubles", "fail", message=NASTY, output=NASTY)))
    for text in (feedback(nasty), summary(nasty, None), junit(nasty)):
        assert not set(text) & {"\x1b", "\x07", "\x00", "\u202e"}
    assert one_line("a\nb\x1b") == "a b\N{REPLACEMENT CHARACTER}"
    assert without_controls("a\n\tb") == "a\n\tb"


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1))
@example("\udc9b \x7f \x9b \u202e \u2028 \ue000")
def test_no_character_of_a_student_is_interpreted(text: str) -> None:
    """Whatever the name and the notes of a submission hold, reports show it and do nothing."""
    page = result(with_test(TestRun("doubles", "fail", message=text, output=text)))
    info = SubmissionInfo(text, "00ff", ("twice.c",), (text,))
    page = replace(page, submission=info)
    assert all(" " <= c <= "~" or c == "\n" for c in page.to_json())
    assert from_json(page.to_json()) == page
    unsafe = {"Cc", "Cf", "Co", "Cs", "Zl", "Zp"}
    for report in (feedback(page), summary(page, None), junit(page)):
        assert not {c for c in report if unicodedata.category(c) in unsafe} - {"\n", "\t"}


@pytest.mark.parametrize("text", ["https://x.org/", "www.x.org", "@doe", "#12", "<b>", "` @doe `"])
def test_markdown_makes_no_link_of_a_students_text(text: str) -> None:
    """Names of archive members stand in notes; in code, no renderer links or notifies."""
    broken = with_test(TestRun("doubles", "error", message=f"x {text}"))
    page = replace(result(broken), submission=SubmissionInfo(text, "00ff", (), (f"x {text}",)))
    for line in feedback(page).splitlines():
        outside = re.sub("`[^`]*`", "", line)
        assert text.strip("` ") not in outside


def test_markdown_keeps_student_text_inside_its_block() -> None:
    """The fence of a block is longer than any in the text."""
    page = feedback(result(with_test(TestRun("doubles", "fail", message="````\n# big"))))
    assert "`````text\n````\n# big\n`````" in page


def test_markdown_says_what_to_fix() -> None:
    """It shows score, rule, message, and the command to reproduce the failure."""
    run = TestRun("doubles", "fail", message="twice(2) returned 5")
    page = feedback(result(with_test(run)))
    assert page.startswith("# Twice: 70 of 100 points\n")
    for part in ("### It doubles.", "twice(2) returned 5", "make test TEST=doubles"):
        assert part in page


def test_junit_distinguishes_failures_from_errors() -> None:
    """A grader error is an <error>, which CI systems show separately."""
    failed = ET.fromstring(junit(result(with_test(TestRun("doubles", "fail")))))
    broken = ET.fromstring(junit(result(with_test(TestRun("doubles", "error")))))
    assert [e.tag for e in failed[0]] == ["failure"]
    assert [e.tag for e in broken[0]] == ["error"]
    assert failed.attrib["failures"] == "1"


def test_warnings_in_any_file_are_found() -> None:
    """#line can set any file name; quoted source lines do not count."""
    output = (
        "./twice.c:3:5: warning: unused variable 'x' [-Wunused-variable]\n"
        "    3 | int x;  // twice.c:3: warning: not one\n"
        "/usr/include/stdio.h:9:1: warning: other\n"
        "./twice.c:3:5: warning: unused variable 'x' [-Wunused-variable]\n"
    )
    assert find_warnings(output) == (
        Diagnostic("twice.c", 3, "unused variable 'x' [-Wunused-variable]"),
        Diagnostic("/usr/include/stdio.h", 9, "other"),
    )


def test_an_explanation_keeps_a_message_of_several_lines() -> None:
    """The lines stay together; the place has the name of the file, not its path."""
    text = (
        "ERROR: expected 4\n  but got 5\ncalls of doubles, the last ones:\n  twice(2) returned 5\n"
        "this run: --seed 1\n"
        "[  ERROR   ] --- [   LINE   ] --- /a b/test_hidden.c:9: error: Failure!\n"
    )
    assert explanation(text).split("\n") == [
        "expected 4",
        "  but got 5",
        "this run: --seed 1",
        "at test_hidden.c:9",
        "calls of doubles, the last ones:",
        "  twice(2) returned 5",
    ]


def test_an_explanation_begins_with_the_assertion() -> None:
    """The prefixes of cmocka are removed; the last calls come after the assertion."""
    text = (
        "calls of doubles, the last ones:\n  twice(2) returned 5\n"
        "[  ERROR   ] --- 0x5 != 0x4\n[   LINE   ] --- test_public.c:9: error: Failure!\n"
        "[  PASSED  ] 0 test(s).\n[  FAILED  ] doubles\n\n 1 FAILED TEST(S)\n"
    )
    assert explanation(text).split("\n") == [
        "0x5 != 0x4",
        "at test_public.c:9",
        "calls of doubles, the last ones:",
        "  twice(2) returned 5",
    ]
