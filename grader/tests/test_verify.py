"""labkit verify notices every way in which a lab can be wrong."""

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
    """What comes of one check."""
    return run_check(check(root, name, options))


def wrong(root: Path, name: str, options: Options = OPTIONS) -> str:
    """What one check complains about."""
    found = outcome(root, name, options)
    assert found.verdict == "wrong", found
    return "\n".join(found.problems)


def edit(path: Path, old: str, new: str) -> None:
    """Changes a file where it says `old`, once."""
    text = path.read_text()
    assert text.count(old) == 1
    path.write_text(text.replace(old, new))


def add_hidden_test(root: Path, text: str = HIDDEN_TEST) -> None:
    """A second test, which students do not have."""
    soldir = root / "solutions" / LAB
    (soldir / "test_hidden.c").write_text((soldir / "test_hidden.c").read_text() + "\n" + text)
    edit(soldir / "lab.toml", "points = 85", "points = 80")
    (soldir / "lab.toml").write_text((soldir / "lab.toml").read_text() + ENTRY)


def test_a_skeleton_that_drifted(root: Path) -> None:
    """Somebody edited labs/ instead of the reference."""
    edit(root / "labs" / LAB / "twice.c", "TODO", "DONE")
    assert f"run `labkit skeleton {LAB}`" in wrong(root, "skeleton/is_generated")


def test_a_rubric_that_drifted(root: Path) -> None:
    """The points changed and the handout did not; or there is none, or no place for it."""
    edit(root / "labs" / LAB / "test_public.c", "twice the number", "the number, twice")
    assert "the rubric in handouts/08-twice.md differs" in wrong(root, "handout/has_the_rubric")
    edit(root / "handouts" / f"{LAB}.md", "<!-- rubric:end -->", "")
    assert "needs a line <!-- rubric:begin -->" in wrong(root, "handout/has_the_rubric")
    (root / "handouts" / f"{LAB}.md").unlink()
    assert "there is no handout" in wrong(root, "handout/has_the_rubric")


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        ("test_public.c", HIDDEN_TEST.replace("twice_of", "other"), "holds lines from solutions/"),
        ("notes.txt", "twice_of_a_negative_number", "names the hidden test"),
        ("twice.h", "/* #ifdef SOLUTION */\n", "has the word SOLUTION"),
        ("data/more.h", "/* solutions/08-twice */\n", "has the word solutions/"),
    ],
)
def test_a_secret_that_is_handed_out(root: Path, file: str, text: str, words: str) -> None:
    """Hidden tests, their names, and the reference do not get into labs/."""
    add_hidden_test(root)
    assert outcome(root, "labs/holds_nothing_secret").verdict == "ok"
    path = root / "labs" / LAB / file
    path.parent.mkdir(exist_ok=True)
    with path.open("a") as stream:
        stream.write(text)
    if "other" in text:  # a copy of a body is no test of its own
        edit(
            path,
            'TEST(other_a_negative_number, "Negative numbers are doubled too.")',
            "__attribute__((unused)) static void copy(void)",
        )
    assert words in wrong(root, "labs/holds_nothing_secret")


def test_too_few_versions(root: Path) -> None:
    """A lab is not proved by one broken version; an accepted one must exist to be named."""
    with (root / "solutions" / LAB / "lab.toml").open("a") as stream:
        stream.write('\n[accepted.ghost]\ncovers = ["first"]\n')
    assert wrong(root, "broken/there_are_enough").splitlines() == [
        "3 broken versions, at least 12 are needed",
        "0 accepted solutions, at least 3 are needed",
        "lab.toml: accepted.ghost: there is no folder solutions/08-twice/accepted/ghost",
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
    """Memcheck and warnings are tests too."""
    assert outcome(root, "broken/every_test_fails_once").verdict == "ok"
    (root / "solutions" / LAB / "broken" / f"{patch}.patch").unlink()
    assert wrong(root, "broken/every_test_fails_once") == f"no broken version fails {name}"


def test_a_test_that_is_not_compiled(root: Path) -> None:
    """lab.toml and source have it, the test binary has not."""
    add_hidden_test(root, f"#if 0\n{HIDDEN_TEST}#endif\n")
    assert "test[twice_of_a_negative_number]: there is no C test" in wrong(root, "kit/compiles")


def test_a_test_without_an_entry(root: Path) -> None:
    """Wherever in its line TEST stands."""
    path = root / "solutions" / LAB / "test_hidden.c"
    path.write_text(path.read_text() + "\n    " + HIDDEN_TEST)
    assert "the C test 'twice_of_a_negative_number' has no entry" in wrong(root, "kit/compiles")


def test_hidden_tests_may_be_several_files(root: Path) -> None:
    """Each is compiled and graded."""
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
    assert problems[1].startswith("the rule of twice_doubles is no sentence")


def test_a_skeleton_that_is_too_good(root: Path) -> None:
    """The solution was handed out."""
    (root / "labs" / LAB / "twice.c").write_text(RIGHT)
    assert "it scores 90, which is not under 25 %; passes: twice_doubles, warnings" in wrong(
        root, "skeleton/scores_low"
    )


def test_a_skeleton_with_a_warning(root: Path) -> None:
    """Students would begin with a complaint."""
    edit(root / "labs" / LAB / "twice.c", "{\n", "{\n    int unused;\n")
    assert "unused variable" in wrong(root, "skeleton/scores_low")


def test_a_reference_that_is_wrong(root: Path) -> None:
    """It loses a test, or the Valgrind pass, or has a warning."""
    path = root / "solutions" / LAB / "twice.c"
    right = path.read_text()
    for old, new, words in (
        ("2 * *copy", "3 * *copy", "with seed 1: twice_doubles: "),
        ("    free(copy);\n", "", "with seed 1: memcheck: "),
        ("int twice;", "int twice, more;", "with seed 1: warnings: "),
    ):
        path.write_text(right)
        edit(path, old, new)
        assert words in wrong(root, "reference/scores_full")


def test_a_reference_that_is_right_only_once(root: Path) -> None:
    """Repetitions have other seeds, the last one on a busy machine."""
    text = HIDDEN_TEST.replace("number < 0;", "number < 0 && testkit_seed() == 3;")
    add_hidden_test(root, text)
    path = root / "solutions" / LAB / "twice.c"
    edit(path, "2 * *copy", "*copy < 0 ? 0 : 2 * *copy")
    assert outcome(root, "reference/scores_full", Options(repeat=2, load=True)).verdict == "ok"
    found = outcome(root, "reference/scores_full", Options(repeat=3, load=True))
    assert found.verdict == "wrong"
    assert "with seed 3: twice_of_a_negative_number" in found.problems[0]


def test_an_accepted_solution_that_is_not_accepted(root: Path) -> None:
    """Another design must score in full as well."""
    folder = root / "solutions" / LAB / "accepted" / "adds"
    folder.mkdir(parents=True)
    (folder / "twice.c").write_text(RIGHT)
    assert outcome(root, "accepted/adds").verdict == "ok"
    edit(folder / "twice.c", "number + number", "number + 20")
    assert "twice_doubles" in wrong(root, "accepted/adds")
    (folder / "twice.c").unlink()
    assert "twice.c" in wrong(root, "accepted/adds")


def test_an_accepted_solution_of_some_groups(root: Path) -> None:
    """What it does not cover it may fail; what it covers it may not."""
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


def test_a_broken_version_that_is_not_as_it_says(root: Path) -> None:
    """It fails less than it names, or more, or can no longer be made."""
    patch = root / "solutions" / LAB / "broken" / "copy_leaked.patch"
    edit(patch, "Fails: memcheck", "Fails: memcheck twice_doubles")
    assert wrong(root, "broken/copy_leaked") == (
        "passes twice_doubles, and should fail it: the copy is never freed"
    )
    edit(patch, "Fails: memcheck twice_doubles", "Fails: warnings")
    edit(patch, "-    free(copy);\n", "-    free(copy);\n+    twice++;\n")
    edit(patch, "@@ -13,7 +13,6 @@", "@@ -13,7 +13,7 @@")
    problems = wrong(root, "broken/copy_leaked").splitlines()
    assert problems[0].startswith("passes warnings, and should fail it")
    assert problems[1].startswith("should pass: twice_doubles: ")
    edit(patch, "-    free(copy);", "-    free(copies);")
    assert "does not apply" in wrong(root, "broken/copy_leaked")


def test_a_grader_that_breaks_is_no_wrong_lab(root: Path) -> None:
    """It is an outcome of its own, with its own exit status, and wins over the rest."""
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
    """However many run at a time."""
    lab = load_lab(root, LAB)
    names = [c.name for c in checks(lab, OPTIONS)]
    assert [o.name for o in verify(lab, OPTIONS, parallel=3)] == names
    assert names[-3:] == [
        "broken/copy_leaked",
        "broken/number_not_doubled",
        "broken/unused_variable",
    ]


def test_a_broken_version_runs_a_sample_where_nothing_changed(root: Path) -> None:
    """The tests it names, and a few others that are the same ones every time."""
    lab = load_lab(root, LAB)
    quick = Options(full=False)
    assert outcome(root, "broken/number_not_doubled", quick).verdict == "ok"
    assert sample(lab, "x", ()) == {"twice_doubles"}
    assert sample(lab, "x", {"twice_doubles"}) == frozenset()
    patch = root / "solutions" / LAB / "broken" / "number_not_doubled.patch"
    edit(patch, "Fails: twice_doubles", "Fails: memcheck")
    assert "should pass: twice_doubles" in wrong(root, "broken/number_not_doubled", quick)


def test_a_record_is_for_these_contents_alone(root: Path) -> None:
    """A change of the lab, its solutions or the test kit asks for the full matrix again."""
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
    """Not by each of the checks."""
    edit(root / "labs" / LAB / "test_public.c", "assert_int_equal(", "assert_int_equal((")
    with pytest.raises(GraderError, match="make graded failed"):
        next(verify(load_lab(root, LAB), OPTIONS))


def test_an_interrupt_ends_verify_at_once(root: Path) -> None:
    """Nothing of it is left: no process, no directory."""
    add_hidden_test(root, HIDDEN_TEST.replace("int expected", "WAIT_UNTIL(false);\n int expected"))
    temporary = Path("/tmp", f"labkit-test-{os.getpid()}")  # other users may enter it
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
