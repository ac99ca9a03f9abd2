"""`labkit verify` notices every kind of error in a lab."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from processes import WAIT_SECONDS, descendants, processes_with, wait_until

from labkit.errors import GraderError
from labkit.lab.manifest import load_lab
from labkit.proof.record import is_verified, record_verified
from labkit.proof.verify import (
    Check,
    Options,
    Outcome,
    checks,
    exit_status,
    run_check,
    sample,
    verify,
)

LAB = "08-twice"
OPTIONS = Options()

HIDDEN_TEST = """\
TEST(twice_of_a_negative_number, "Negative numbers are doubled too.")
{
    for (int number = -3; number < 0; number++) {
        int expected = number + number;
        int result = twice_twice(number);

        assert_int_equal(result, expected);
        assert_int_not_equal(result, number);
        assert_true(result < number);
    }
}
"""
ENTRY = """
[[test]]
name = "twice_of_a_negative_number"
group = "first"
points = 5
"""
RIGHT = '#include "twice.h"\n\nint twice_twice(int number)\n{\n    return number + number;\n}\n'


@pytest.fixture
def root(new_lab_root: Path, tmp_path: Path) -> Path:
    """A copy of a repository with one new lab, kit built."""
    return Path(shutil.copytree(new_lab_root, tmp_path / "root", symlinks=True))


def check(root: Path, name: str, options: Options = OPTIONS) -> Check:
    """The check of that name."""
    [found] = [c for c in checks(load_lab(root, LAB), options) if c.name == name]
    return found


def outcome(root: Path, name: str, options: Options = OPTIONS) -> Outcome:
    """The outcome of one check."""
    return run_check(check(root, name, options))


def wrong(root: Path, name: str, options: Options = OPTIONS) -> str:
    """The problems that one check finds."""
    found = outcome(root, name, options)
    assert found.verdict == "wrong", found
    return "\n".join(found.problems)


def edit(path: Path, old: str, new: str) -> None:
    """Replaces the only occurrence of `old` in a file."""
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


def add_hidden_test(root: Path, text: str = HIDDEN_TEST) -> None:
    """Adds a second test, which students do not receive."""
    soldir = root / "solutions" / LAB
    (soldir / "test_hidden.c").write_text((soldir / "test_hidden.c").read_text() + "\n" + text)
    edit(soldir / "lab.toml", "points = 85", "points = 80")
    (soldir / "lab.toml").write_text((soldir / "lab.toml").read_text() + ENTRY)


def test_a_skeleton_that_drifted(root: Path) -> None:
    """An edited skeleton in labs/ is found."""
    edit(root / "labs" / LAB / "twice.c", "TODO", "DONE")
    assert f"run `labkit skeleton {LAB}`" in wrong(root, "skeleton/is_generated")


def test_a_rubric_that_drifted(root: Path) -> None:
    """An old rubric, a handout without place for it, and a missing handout are found."""
    edit(root / "labs" / LAB / "test_public.c", "twice the number", "the number, twice")
    assert "the rubric in handouts/08-twice.md differs" in wrong(root, "handout/has_the_rubric")
    edit(root / "handouts" / f"{LAB}.md", "<!-- rubric:end -->", "")
    assert "needs a line <!-- rubric:begin -->" in wrong(root, "handout/has_the_rubric")
    (root / "handouts" / f"{LAB}.md").unlink()
    assert "there is no handout" in wrong(root, "handout/has_the_rubric")


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        (
            "test_public.c",
            HIDDEN_TEST.replace("twice_of", "other"),
            "contains lines from solutions/",
        ),
        ("notes.txt", "twice_of_a_negative_number", "names the hidden test"),
        ("twice.h", "/* #ifdef SOLUTION */\n", "contains the word SOLUTION"),
        ("data/more.h", "/* solutions/08-twice */\n", "contains the word solutions/"),
    ],
)
def test_a_secret_that_is_handed_out(root: Path, file: str, text: str, message: str) -> None:
    """Hidden tests, their names, and the reference must not be in labs/."""
    add_hidden_test(root)
    assert outcome(root, "labs/holds_nothing_secret").verdict == "ok"
    path = root / "labs" / LAB / file
    path.parent.mkdir(exist_ok=True)
    with path.open("a") as stream:
        stream.write(text)
    if "other" in text:  # copy only the body of the test
        edit(
            path,
            'TEST(other_a_negative_number, "Negative numbers are doubled too.")',
            "__attribute__((unused)) static void copy(void)",
        )
    assert message in wrong(root, "labs/holds_nothing_secret")


def test_too_few_versions(root: Path) -> None:
    """A lab needs a minimum of versions, and lab.toml may only name existing ones."""
    with (root / "solutions" / LAB / "lab.toml").open("a") as stream:
        stream.write('\n[accepted.ghost]\ncovers = ["first"]\n[sample]\nhangs = "ghost"\n')
    assert wrong(root, "broken/there_are_enough").splitlines() == [
        "3 broken versions, at least 12 are needed",
        "0 accepted solutions, at least 3 are needed",
        "lab.toml: sample: there is no broken version ghost",
        "lab.toml: accepted.ghost: there is no directory solutions/08-twice/accepted/ghost",
    ]


@pytest.mark.parametrize(
    ("patch", "name"),
    [
        ("number_not_doubled", "twice_doubles"),
        ("copy_leaked", "memcheck"),
        ("unused_variable", "warnings"),
    ],
)
def test_a_test_that_no_broken_version_fails(root: Path, patch: str, name: str) -> None:
    """Every test, memcheck and warnings too, needs a broken version that fails it."""
    assert outcome(root, "broken/every_test_fails_once").verdict == "ok"
    (root / "solutions" / LAB / "broken" / f"{patch}.patch").unlink()
    assert wrong(root, "broken/every_test_fails_once") == f"no broken version fails {name}"


def test_a_test_that_is_not_compiled(root: Path) -> None:
    """lab.toml and the source have the test, but the test binary does not."""
    add_hidden_test(root, f"#if 0\n{HIDDEN_TEST}#endif\n")
    assert "test[twice_of_a_negative_number]: there is no C test" in wrong(root, "kit/compiles")


def test_a_test_without_an_entry(root: Path) -> None:
    """It is found, even if its TEST is indented."""
    path = root / "solutions" / LAB / "test_hidden.c"
    path.write_text(path.read_text() + "\n    " + HIDDEN_TEST)
    assert "the C test 'twice_of_a_negative_number' has no entry" in wrong(root, "kit/compiles")


def test_hidden_tests_may_be_several_files(root: Path) -> None:
    """Every file is compiled and graded."""
    add_hidden_test(root, "")
    name = root / "solutions" / LAB / "test_hidden_negative.c"
    name.write_text('#include "twice.h"\n#include "testkit.h"\n\n' + HIDDEN_TEST)
    assert outcome(root, "reference/scores_full").verdict == "ok"


def test_a_rule_that_is_long_or_no_sentence(root: Path) -> None:
    """A rule is one sentence of at most 25 words."""
    assert outcome(root, "tests/have_short_rules").verdict == "ok"
    path = root / "labs" / LAB / "test_public.c"
    edit(path, "The result is twice the number.", "the" + 25 * " long" + " rule")
    problems = wrong(root, "tests/have_short_rules").splitlines()
    assert problems[0].startswith("the rule of twice_doubles has 27 words, more than 25")
    assert problems[1].startswith("the rule of twice_doubles is not a sentence")


def test_a_skeleton_that_is_too_good(root: Path) -> None:
    """A solution in labs/ is found."""
    (root / "labs" / LAB / "twice.c").write_text(RIGHT)
    assert "the score 90 is not under 25 %; passed tests: twice_doubles, warnings" in wrong(
        root, "skeleton/scores_low"
    )


def test_a_skeleton_with_a_warning(root: Path) -> None:
    """The skeleton must compile without a warning."""
    edit(root / "labs" / LAB / "twice.c", "{\n", "{\n    int unused;\n")
    assert "unused variable" in wrong(root, "skeleton/scores_low")


def test_a_reference_that_is_wrong(root: Path) -> None:
    """A failed test, a leak and a warning are found."""
    path = root / "solutions" / LAB / "twice.c"
    right = path.read_text()
    for old, new, message in (
        ("2 * *copy", "3 * *copy", "with seed 1: twice_doubles: "),
        ("    free(copy);\n", "", "with seed 1: memcheck: "),
        ("int twice;", "int twice, more;", "with seed 1: warnings: "),
    ):
        path.write_text(right)
        edit(path, old, new)
        assert message in wrong(root, "reference/scores_full")


def test_a_reference_that_is_right_only_once(root: Path) -> None:
    """Each repetition has another seed; the last one runs on a busy machine."""
    text = HIDDEN_TEST.replace("number < 0;", "number < 0 && testkit_seed() == 3;")
    add_hidden_test(root, text)
    path = root / "solutions" / LAB / "twice.c"
    edit(path, "2 * *copy", "*copy < 0 ? 0 : 2 * *copy")
    assert outcome(root, "reference/scores_full", Options(repeat=2, load=True)).verdict == "ok"
    found = outcome(root, "reference/scores_full", Options(repeat=3, load=True))
    assert found.verdict == "wrong"
    assert "with seed 3: twice_of_a_negative_number" in found.problems[0]


def test_a_test_that_reads_an_input_back(root: Path) -> None:
    """A test that relies on what student code can write fails with the reference, too."""
    text = HIDDEN_TEST.replace("{\n", '{\n    const char *input = arena_string("a");\n\n', 1)
    text = text.removesuffix("}\n") + '    assert_memory_equal(input, "a", 1);\n}\n'
    add_hidden_test(root, text)
    assert "twice_of_a_negative_number" in wrong(root, "reference/scores_full")


def test_an_accepted_solution_that_fails_a_test(root: Path) -> None:
    """An accepted solution must pass every test."""
    folder = root / "solutions" / LAB / "accepted" / "adds"
    folder.mkdir(parents=True)
    (folder / "twice.c").write_text(RIGHT)
    assert outcome(root, "accepted/adds").verdict == "ok"
    edit(folder / "twice.c", "number + number", "number + 20")
    assert "twice_doubles" in wrong(root, "accepted/adds")
    (folder / "twice.c").unlink()
    assert "twice.c" in wrong(root, "accepted/adds")


def test_an_accepted_solution_of_some_groups(root: Path) -> None:
    """It may fail tests of groups that it does not cover, but no others."""
    soldir = root / "solutions" / LAB
    folder = soldir / "accepted" / "positive"
    folder.mkdir(parents=True)
    (folder / "twice.c").write_text(RIGHT.replace("number + number", "number < 0 ? 0 : 2 * number"))
    add_hidden_test(root)
    edit(soldir / "lab.toml", "[warnings]", '[groups.second]\ntitle = "More"\n\n[warnings]')
    edit(soldir / "lab.toml", 'group = "first"\npoints = 5', 'group = "second"\npoints = 5')
    assert "twice_of_a_negative_number" in wrong(root, "accepted/positive")
    with (soldir / "lab.toml").open("a") as stream:
        stream.write('\n[accepted.positive]\ncovers = ["first"]\n')
    assert outcome(root, "accepted/positive").verdict == "ok"


def test_a_broken_version_with_a_wrong_head(root: Path) -> None:
    """It fails fewer tests than it names, or more, or its patch does not apply."""
    patch = root / "solutions" / LAB / "broken" / "copy_leaked.patch"
    edit(patch, "Fails: memcheck", "Fails: memcheck twice_doubles")
    assert wrong(root, "broken/copy_leaked") == (
        "should fail: twice_doubles (the copy is never freed)"
    )
    edit(patch, "Fails: memcheck twice_doubles", "Fails: warnings")
    edit(patch, "-    free(copy);\n", "-    free(copy);\n+    twice++;\n")
    edit(patch, "@@ -13,7 +13,6 @@", "@@ -13,7 +13,7 @@")
    problems = wrong(root, "broken/copy_leaked").splitlines()
    assert problems[0].startswith("should fail: warnings")
    assert problems[1].startswith("should pass: twice_doubles: ")
    edit(patch, "-    free(copy);", "-    free(copies);")
    assert "does not apply" in wrong(root, "broken/copy_leaked")


def test_a_grader_error_does_not_make_a_lab_wrong(root: Path) -> None:
    """It has its own verdict and exit status, which takes precedence."""
    add_hidden_test(
        root,
        HIDDEN_TEST.replace(
            "int expected", 'testkit_broken("no more paper");\n        int expected'
        ),
    )
    found = outcome(root, "reference/scores_full")
    assert found.verdict == "error"
    assert "no more paper" in found.problems[0]
    enough = outcome(root, "broken/there_are_enough")
    assert exit_status([enough]) == 1
    assert exit_status([enough, found]) == 3
    assert exit_status([]) == 0


def test_outcomes_come_in_the_order_of_the_checks(root: Path) -> None:
    """The number of parallel checks does not change the order."""
    lab = load_lab(root, LAB)
    names = [c.name for c in checks(lab, OPTIONS)]
    assert [o.name for o in verify(lab, OPTIONS, parallel=3)] == names
    assert names[-3:] == [
        "broken/copy_leaked",
        "broken/number_not_doubled",
        "broken/unused_variable",
    ]


def test_quick_verify_runs_a_sample_of_the_other_tests(root: Path) -> None:
    """The sample is the same every time; its failures are found."""
    lab = load_lab(root, LAB)
    quick = Options(full=False)
    assert outcome(root, "broken/number_not_doubled", quick).verdict == "ok"
    assert sample(lab, "x", ()) == {"twice_doubles"}
    assert sample(lab, "x", {"twice_doubles"}) == frozenset()
    patch = root / "solutions" / LAB / "broken" / "number_not_doubled.patch"
    edit(patch, "Fails: twice_doubles", "Fails: memcheck")
    assert "should pass: twice_doubles" in wrong(root, "broken/number_not_doubled", quick)


def test_a_record_is_valid_only_for_its_contents(root: Path) -> None:
    """A change of the lab or its solutions makes the record invalid."""
    lab = load_lab(root, LAB)
    assert not is_verified(lab)
    record_verified(lab)
    assert is_verified(lab)
    copy = Path(shutil.copytree(root, root.parent / "copy", symlinks=True))
    assert is_verified(load_lab(copy, LAB))  # other times, another place
    for path in (
        root / "labs" / LAB / "twice.h",
        root / "solutions" / LAB / "twice.c",
        root / "solutions" / LAB / "broken" / "copy_leaked.patch",
    ):
        before = path.read_text()
        path.write_text(before + "\n")
        assert not is_verified(lab), path
        path.write_text(before)
    assert is_verified(lab)


def test_a_kit_that_does_not_compile_is_reported_once(root: Path) -> None:
    """The checks do not repeat the error."""
    edit(root / "labs" / LAB / "test_public.c", "assert_int_equal(", "assert_int_equal((")
    with pytest.raises(GraderError, match="make graded failed"):
        next(verify(load_lab(root, LAB), OPTIONS))


def test_an_interrupt_ends_verify_at_once(root: Path) -> None:
    """It leaves no process and no directory behind."""
    add_hidden_test(root, HIDDEN_TEST.replace("int expected", "WAIT_UNTIL(false);\n int expected"))
    temporary = Path("/tmp", f"labkit-test-{os.getpid()}")  # other uids may enter it
    temporary.mkdir()
    env = os.environ | {"LABKIT_BUILD": str(root / "build"), "TMPDIR": str(temporary)}
    process = subprocess.Popen(
        [Path(sys.executable).parent / "labkit", "--root", root, "verify", LAB],
        env=env,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    wait_until(lambda: descendants(process.pid, "--fork-server"))
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=WAIT_SECONDS)
    assert (process.returncode, errors.strip()) == (130, "labkit: interrupted")
    temporary.rmdir()  # it is empty
    assert not processes_with(str(root))
