"""Code that silences warnings is found, however it is written; other code is left alone."""

import subprocess
from pathlib import Path
from typing import Final

import pytest

from labkit.grading.grade import grade_submission
from labkit.grading.silenced import silenced
from labkit.lab.manifest import load_lab
from labkit.lab.skeleton import write_reference
from labkit.result import Diagnostic

FLAGS: Final = ("-std=gnu11", "-O1", "-Wall", "-Wextra")
UNUSED: Final = "int twice(int n) { int unused; return n + n; }\n"

EVASIONS: Final = {
    "plain": '#pragma GCC diagnostic ignored "-Wunused-variable"\n',
    "spliced": '#pra\\\ngma GCC diag\\\nnostic ignored "-Wunused-variable"\n',
    "spliced with a blank": '#pra\\ \ngma GCC diagnostic ignored "-Wunused-variable"\n',
    "digraph": '%: pragma GCC diagnostic ignored "-Wunused-variable"\n',
    "comments": '/**/ # /*\n*/ pragma GCC/**/diagnostic/**/ignored "-Wunused-variable"\n',
    "form feed": '\f#\tpragma\tGCC\vdiagnostic  ignored "-Wunused-variable"\n',
    "operator": '_Pragma("GCC diagnostic ignored \\"-Wunused-variable\\"")\n',
    "operator with a wide string": '_Pragma(L"GCC diagnostic ignored \\"-Wunused-variable\\"")\n',
    "operator in a macro": (
        '#define QUIET _Pragma("GCC diagnostic ignored \\"-Wunused-variable\\"")\nQUIET\n'
    ),
    "pasted operator": (
        "#define PASTE(a, b) a##b\n"
        'PASTE(_Pra, gma)("GCC diagnostic ignored \\"-Wunused-variable\\"")\n'
    ),
    "made string": (
        '#define QUIET(x) _Pragma(#x)\nQUIET(GCC diagnostic ignored "-Wunused-variable")\n'
    ),
    "in an argument of a system macro": (
        "#include <assert.h>\n"
        'void f(int n) { assert(({ _Pragma("GCC diagnostic ignored \\"-Wunused-variable\\"")'
        " n; })); }\n"
    ),
    "behind #line": (
        '#line 1 "/usr/include/stdio.h"\n#pragma GCC diagnostic ignored "-Wunused-variable"\n'
    ),
    "marker of a system header": '# 1 "/usr/include/stdio.h" 1 3 4\n',
    "spliced marker": '#\\\n 1 "x" 3\n',
    "marker with a digraph": '%:/**/1 "x" 3 4\n',
    "marker in a comment's line": '/*\n*/ # 1 "x" 3\n',
}
INCLUDED: Final = {
    "system_header": "#pragma GCC system_header\n",
    "system_header behind #line": '#line 3 "/usr/include/y.h"\n_Pragma("GCC system_header")\n',
    "spliced system_header": "#pragma GCC sys\\\ntem_header\n",
}
EVASIONS_IN_ALL: Final = {
    **{name: start + UNUSED for name, start in EVASIONS.items()},
    **{
        name: f'#ifndef AGAIN\n#define AGAIN\n#include "twice.c"\n#else\n{start}{UNUSED}#endif\n'
        for name, start in INCLUDED.items()
    },
}

HONEST: Final = """\
#include <assert.h>
#include <errno.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#pragma pack(push, 1)
#pragma GCC diagnostic push
#pragma GCC diagnostic error "-Wuninitialized"
#pragma GCC diagnostic pop
#pragma GCC poison gets
#line 40 "grammar.y"
/*
# 1 "x" 3
#pragma GCC diagnostic ignored "-Wall"
*/
#if 0
# 1 "x" 3
#pragma GCC diagnostic ignored "-Wall"
#endif
#define STRING(x) #x
static const char *text = "\\n\\
# 1 \\"x\\" 3\\n\\
#pragma GCC diagnostic ignored \\"-Wall\\"";
__attribute__((unused)) static int spare;
int twice(int n)
{
    assert(n != EOF && text != NULL);
    errno = isatty_(STRING(#pragma GCC diagnostic ignored)) ? EINTR : 0;
    return n + n;
}
"""


def gcc(folder: Path, source: str, *options: str) -> tuple[str, str]:
    """What gcc writes and says for twice.c."""
    (folder / "twice.c").write_text(source)
    done = subprocess.run(
        ["gcc", *FLAGS, *options, "./twice.c", "-o", "-"],
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout, done.stderr


def found(folder: Path, source: str) -> tuple[Diagnostic, ...]:
    """The lines of twice.c that silence warnings."""
    preprocessed, said = gcc(folder, source, "-E", "-Wpedantic")
    return silenced(preprocessed.splitlines(keepends=True), said)


@pytest.mark.parametrize("name", EVASIONS_IN_ALL)
def test_code_that_silences_a_warning_is_found(name: str, tmp_path: Path) -> None:
    """The compiler does not warn of it, and the line is named."""
    source = EVASIONS_IN_ALL[name]
    assert "unused" not in gcc(tmp_path, source, "-S")[1]
    assert found(tmp_path, source)


def test_the_line_is_named(tmp_path: Path) -> None:
    """File and line are those of the source."""
    source = "#include <stdio.h>\n\n" + EVASIONS["operator in a macro"] + UNUSED
    [one] = found(tmp_path, source)
    assert (one.file, one.line) == ("twice.c", 4)
    assert one.message.startswith('#pragma GCC diagnostic ignored "-Wunused-variable" hides')


def test_honest_code_is_not_found(tmp_path: Path) -> None:
    """Other pragmas, #line, attributes, headers with pragmas, and text that looks like one."""
    source = HONEST.replace("isatty_(", "atoi(")
    assert found(tmp_path, source) == ()
    assert gcc(tmp_path, source, "-S")[1] == ""


def test_silenced_warnings_cost_the_points_for_warnings(new_lab_root: Path, tmp_path: Path) -> None:
    """The message names the line; the tests are not affected."""
    lab = load_lab(new_lab_root, "08-twice")
    write_reference(lab, tmp_path)
    path = tmp_path / "twice.c"
    path.write_text(EVASIONS["plain"] + path.read_text())
    result = grade_submission(lab, tmp_path, valgrind=False)
    assert [t.name for t in result.failed] == ["warnings"]
    assert "twice.c:1: #pragma GCC diagnostic" in result.failed[0].shown.message
