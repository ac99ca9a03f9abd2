"""The test's end of a puppet's socket accepts right replies only (grader/fuzz/replies.c)."""

import subprocess
from pathlib import Path

import pytest

FUZZ = Path(__file__).parents[1] / "fuzz"


@pytest.fixture(scope="session")
def replies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The fuzz target with its own driver, under the sanitizers."""
    into = tmp_path_factory.mktemp("fuzz")
    program = into / "replies"
    subprocess.run(
        ["make", "-C", FUZZ, f"BUILD={into}", program], check=True, stdout=subprocess.DEVNULL
    )
    return program


def run(*command: str | Path) -> None:
    """Runs the target; a report of a sanitizer or a wrong verdict is the failure's message."""
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_the_corpus_is_judged_right(replies: Path) -> None:
    """What libFuzzer found to reach different code."""
    corpus = sorted((FUZZ / "corpus").iterdir())
    assert len(corpus) > 20
    run(replies, *corpus)


def test_random_messages_never_pass_for_right_replies(replies: Path) -> None:
    """Of any messages exactly the right replies are accepted, with no complaint of a sanitizer."""
    run(replies, "-20000", "7")


def test_without_clang_the_package_is_named(tmp_path: Path) -> None:
    """`make fuzz` needs clang, which is no requirement of the project."""
    command = ["make", "-C", str(FUZZ), f"BUILD={tmp_path}", "CLANG=no-such-program", "fuzz"]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode != 0
    assert "clang is not installed: apt-get install clang" in result.stdout
