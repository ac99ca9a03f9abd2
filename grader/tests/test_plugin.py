"""The pytest plugin, tested from outside: lab.toml is a test file like any other."""

import shutil
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

pytest_plugins = ["pytester"]

LAB = "solutions/08-twice/lab.toml"
RIGHT = '#include "twice.h"\n\nint twice_twice(int number)\n{\n    return number + number;\n}\n'
Run = Callable[..., pytest.RunResult]


@pytest.fixture
def run(pytester: pytest.Pytester, new_lab_root: Path) -> Run:
    """Runs pytest in a copy of a repository with one new lab."""
    shutil.copytree(new_lab_root, pytester.path, symlinks=True, dirs_exist_ok=True)

    def pytest_in_it(*arguments: str) -> pytest.RunResult:
        return pytester.runpytest_inprocess("-p", "no:cacheprovider", *arguments)

    return pytest_in_it


def submit(pytester: pytest.Pytester, text: str) -> str:
    """A submission; its path."""
    folder = pytester.path / "inbox"
    folder.mkdir(exist_ok=True)
    (folder / "twice.c").write_text(text)
    return str(folder)


def test_the_reference_is_tested_by_default(run: Run) -> None:
    """Each graded test is an item, and so are warnings and memcheck."""
    result = run(LAB, "-v")
    result.assert_outcomes(passed=3)
    result.stdout.fnmatch_lines(
        [f"{LAB}::{name} PASSED*" for name in ("twice_doubles", "warnings", "memcheck")]
    )


def test_a_submission_fails_what_it_does_wrong(run: Run, pytester: pytest.Pytester) -> None:
    """The report shows the test's explanation, but no traceback of the grader."""
    wrong = submit(pytester, RIGHT.replace("number + number", "number"))
    result = run(LAB, "--submission", wrong, "-k", "not memcheck")
    result.assert_outcomes(passed=1, failed=1, deselected=1)
    result.stdout.fnmatch_lines(["*twice_twice(21) returned 21*", f"FAILED {LAB}::twice_doubles*"])
    result.stdout.no_fnmatch_line("*Traceback*")
    result.stdout.no_fnmatch_line("*run_test*")


def test_warnings_and_leaks_fail_separate_items(run: Run, pytester: pytest.Pytester) -> None:
    """The messages of compiler and Valgrind are shown."""
    text = RIGHT.replace(
        "{\n", "{\n    int unused;\n    void *volatile p = malloc(9);\n\n    p = 0;\n"
    )
    result = run(LAB, "--submission", submit(pytester, "#include <stdlib.h>\n" + text))
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines(["twice.c:6: unused variable*", "*9 bytes*definitely lost*"])


def test_what_does_not_compile_fails_everything(run: Run, pytester: pytest.Pytester) -> None:
    """The compiler's output is shown."""
    result = run(LAB, "--submission", submit(pytester, "int half("))
    result.assert_outcomes(failed=3)
    result.stdout.fnmatch_lines(["the submission does not compile", "*twice.c:1:*error:*"])


def test_selection_and_stopping_work_as_usual(run: Run, pytester: pytest.Pytester) -> None:
    """-k chooses by name, -x stops at the first failure."""
    run(LAB, "-k", "doubles").assert_outcomes(passed=1, deselected=2)
    run(LAB, "-x", "--submission", submit(pytester, "int half(")).assert_outcomes(failed=1)


def test_xdist_and_junit_work_as_usual(run: Run, pytester: pytest.Pytester) -> None:
    """-n 2 gives the same outcomes, and the XML file names every test."""
    wrong = submit(pytester, RIGHT.replace("{\n", "{\n    int unused;\n"))
    result = run(LAB, "-n", "2", "--junitxml", "out.xml", "--submission", wrong)
    result.assert_outcomes(passed=2, failed=1)
    suite = ElementTree.parse(pytester.path / "out.xml").getroot()[0]
    assert {c.get("name"): len(c) for c in suite} == {
        "twice_doubles": 0,
        "warnings": 1,
        "memcheck": 0,
    }
    assert (suite.get("tests"), suite.get("failures"), suite.get("errors")) == ("3", "1", "0")


def test_a_submission_that_cannot_be_read_is_an_error(run: Run) -> None:
    """It is not a failure, because no code was tested."""
    result = run(LAB, "--submission", "nobody")
    result.assert_outcomes(errors=3)
    result.stdout.fnmatch_lines(["*'nobody' does not exist*"])


def test_a_grader_that_breaks_is_an_error(run: Run, pytester: pytest.Pytester) -> None:
    """The test binary reports it, or there is no sandbox of the requested kind."""
    path = pytester.path / "labs/08-twice/test_public.c"
    path.write_text(
        path.read_text().replace("assert_int", 'testkit_broken("tired");\n    assert_int')
    )
    result = run(LAB, "-k", "doubles")
    result.assert_outcomes(errors=1, deselected=2)
    result.stdout.fnmatch_lines(["grader error: *tired*"])
    result = run(LAB, "--box", "cardboard", "-k", "doubles")
    result.assert_outcomes(errors=1, deselected=2)
    result.stdout.fnmatch_lines(["*no sandbox of kind 'cardboard'*"])


def test_a_wrong_manifest_is_a_collection_error(run: Run, pytester: pytest.Pytester) -> None:
    """The message names file and key."""
    path = pytester.path / LAB
    path.write_text(path.read_text().replace("points = 85", "points = 86"))
    result = run(LAB)
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*lab.toml: points: the sum is 101, not 100*"])


def test_other_toml_files_are_ignored(pytester: pytest.Pytester) -> None:
    """Only solutions/NN/lab.toml is a lab."""
    (pytester.path / "lab.toml").write_text("not = a lab")
    (pytester.path / "solutions").mkdir()
    (pytester.path / "solutions/notes.toml").write_text("not = a lab")
    pytester.runpytest_subprocess().assert_outcomes()


def test_every_check_of_a_lab_can_be_an_item(run: Run) -> None:
    """With --verify each check is an item; a new lab still lacks broken versions."""
    result = run("solutions", "--verify", "-n", "2")
    result.assert_outcomes(passed=11, failed=1)
    result.stdout.fnmatch_lines(
        ["3 broken versions, at least 12 are needed", f"FAILED {LAB}::broken/there_are_enough*"]
    )


def test_verify_can_be_repeated_under_load(run: Run) -> None:
    """--verify-repeat N grades the reference N times."""
    run(LAB, "--verify", "--verify-repeat", "2", "-k", "reference").assert_outcomes(
        passed=1, deselected=11
    )
