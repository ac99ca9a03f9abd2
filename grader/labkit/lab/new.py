"""Creates a new lab that compiles, has one test and can be graded.

Its author replaces it piece by piece, in the order that CONTRIBUTING.md gives.  `labkit verify`
passes from the start, except for the number of broken versions and accepted solutions.
"""

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from string import Template
from typing import Final

from labkit.errors import GraderError, UsageError
from labkit.lab.kit import build_kit
from labkit.lab.manifest import LAB_NAME, load_lab
from labkit.lab.rubric import BEGIN, END, write_rubric
from labkit.lab.skeleton import write_skeleton

WORD: Final = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")

FILES: Final[Mapping[str, str]] = {
    "labs/$lab/Makefile": """\
# $lab: one line that describes the lab.  `make help` lists the targets.
LAB := $lab
SUBMISSION := $word.c

include ../lab.mk
""",
    "labs/$lab/$word.h": """\
/* $word.h - the contract: what students implement and tests call.
 *
 * For each function: meaning, units, preconditions, every return value and
 * errno, and ownership.
 */
#ifndef ${upper}_H
#define ${upper}_H

/* Returns twice the number. */
int ${word}_twice(int number);

#endif
""",
    "labs/$lab/stubs.c": """\
/* stubs.c - the functions of $word.h as the tests call them: each stub sends
 * the call to a puppet, which has loaded the submission. */
#include "$word.h"
#include "stub.h"

STUB(int, ${word}_twice, (int number), number)
""",
    "labs/$lab/test_public.c": """\
/* test_public.c - the public tests of $lab, which students receive. */
#include "$word.h"
#include "testkit.h"

TEST(twice_doubles, "The result is twice the number.")
{
    assert_int_equal(${word}_twice(21), 42);
}
""",
    "solutions/$lab/$word.c": """\
/* $word.c - the contract is in $word.h. */
#include "$word.h"

#include <stdlib.h>

int ${word}_twice(int number)
{
#ifdef SOLUTION
    int *copy = malloc(sizeof *copy);
    int twice;

    if (!copy)
        return 0;
    *copy = number;
    twice = 2 * *copy;
    free(copy);
    return twice;
#else
    /* TODO($lab): return twice the number. */
    return number == 0 ? 0 : abs(number);
#endif
}
""",
    "solutions/$lab/test_hidden.c": """\
/* test_hidden.c - the hidden tests of $lab, which students do not receive. */
#include "$word.h"
#include "testkit.h"
""",
    "solutions/$lab/lab.toml": """\
title = "$title"

[groups.first]
title = "First steps"

[warnings]
points = 5

[memcheck]
points = 10
tests = ["twice_doubles"]

[[test]]
name = "twice_doubles"
group = "first"
points = 85
""",
    "handouts/$lab.md": """\
# $lab: $title

What students learn here, and what works at the end.

## The idea

With one drawing.

## The contract

[`labs/$lab/$word.h`](../labs/$lab/$word.h) says what each function promises.

## Steps

In the directory `labs/$lab`:

1. `make test` runs the public tests; `make help` lists the other targets.
2. Write `$word.c`, one group of the table below after the other.
3. `make memcheck` finds leaks and invalid accesses.
4. `make submit` packs what you hand in.

## How it is graded

$begin
$end

## Pitfalls

Common mistakes, and how to notice them.

## Experiments

Questions whose answer is a number.
""",
}

# Name, description, failing tests, and the change to the reference: old and new text.
BROKEN: Final = (
    ("number_not_doubled", "the number itself is returned", "twice_doubles", "2 * *copy", "*copy"),
    ("copy_leaked", "the copy is never freed", "memcheck", "    free(copy);\n", ""),
    ("unused_variable", "an unused variable", "warnings", "int twice;", "int twice, thrice;"),
)


def new_lab(root: Path, name: str) -> tuple[Path, ...]:
    """Writes the files of a new lab; returns their paths, in order."""
    if not LAB_NAME.fullmatch(name) or not WORD.fullmatch(name[3:]):
        raise UsageError(
            f"{name!r} is not a lab name: use two digits, a dash and words, as in 08-mailbox"
        )
    for path in (f"labs/{name}", f"solutions/{name}", f"handouts/{name}.md"):
        if (root / path).exists():
            raise UsageError(f"{path} already exists")
    values = {
        "lab": name,
        "word": name[3:].replace("-", "_"),
        "upper": name[3:].replace("-", "_").upper(),
        "title": name[3:].replace("-", " ").capitalize(),
        "begin": BEGIN,
        "end": END,
    }
    files = {
        Template(path).substitute(values): Template(text).substitute(values)
        for path, text in FILES.items()
    }
    files |= _patches(name, values["word"], files[f"solutions/{name}/{values['word']}.c"])
    try:
        for path, text in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            with (root / path).open("x", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        raise GraderError(f"cannot write the new lab: {error}") from error
    lab = load_lab(root, name)
    write_skeleton(lab)
    write_rubric(lab, build_kit(lab))
    return tuple(sorted(root / path for path in [*files, f"labs/{name}/{lab.files[0]}"]))


def _patches(lab: str, word: str, source: str) -> dict[str, str]:
    """The first broken versions, as an author would make them with diff -u."""
    patches = {}
    for name, what, fails, old, new in BROKEN:
        diff = difflib.unified_diff(
            source.splitlines(keepends=True),
            source.replace(old, new).splitlines(keepends=True),
            fromfile=f"a/{word}.c",
            tofile=f"b/{word}.c",
        )
        head = f"What: {what}\nFails: {fails}\n"
        patches[f"solutions/{lab}/broken/{name}.patch"] = head + "".join(diff)
    return patches
