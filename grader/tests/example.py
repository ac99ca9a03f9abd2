"""A small lab's manifest, for the tests of what is done with one."""

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from labkit.lab.manifest import Lab, parse_lab

GOOD = """
title = "Twice"
deliverables = ["twice.c"]
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
rule = "It doubles."
[[test]]
name = "keeps_the_sign"
group = "all"
points = 40
rule = "It keeps the sign."
"""

Change = Callable[[dict[str, Any]], object]


def parsed(change: Change | None = None) -> Lab:
    """The good manifest after a change."""
    table = tomllib.loads(GOOD)
    if change:
        change(table)
    return parse_lab(
        table,
        path=Path("solutions/08-twice/lab.toml"),
        name="08-twice",
        labdir=Path("/r/labs/08-twice"),
        soldir=Path("/r/solutions/08-twice"),
        public=("doubles",),
        hidden=("keeps_the_sign",),
    )
