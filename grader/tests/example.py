"""The manifest of a small lab, for tests of the modules that use one."""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from labkit.lab.manifest import Lab, parse_lab
from labkit.lab.rubric import GradedTest
from labkit.lab.sources import Sources

GOOD = """
title = "Twice"
[limits]
cpu_s = 3
[groups.all]
title = "All of it"
[warnings]
points = 10
[memcheck]
points = 20
tests = ["keeps_the_sign"]
[[test]]
name = "doubles"
group = "all"
points = 30
[[test]]
name = "keeps_the_sign"
group = "all"
points = 40
"""

Change = Callable[[dict[str, Any]], object]


def parsed(change: Change | None = None) -> Lab:
    """The good manifest after a change."""
    table = tomllib.loads(GOOD)
    if change:
        change(table)
    return parse_lab(
        table,
        labdir=Path("/r/labs/08-twice"),
        soldir=Path("/r/solutions/08-twice"),
        sources=Sources(submission=("twice.c",)),
    )


GRADED_TESTS = (
    GradedTest("doubles", "all", 30, "It doubles.", detail="open", public=True),
    GradedTest("keeps_the_sign", "all", 40, "It keeps the sign.", detail="named", public=False),
)
