"""`labkit` as a command: exit statuses, the files it writes, bad input."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
from processes import WAIT_SECONDS, descendants, processes_with, wait_until
from student_folder import ROOT

from labkit.sandbox.launcher import landlock_abi
from labkit.sandbox.uid import need_message_queues
from labkit.tools import TOOLS

LABKIT: Final = Path(sys.executable).parent / "labkit"
LAB: Final = "08-twice"
RIGHT: Final = '#include "twice.h"\nint twice_twice(int number) { return 2 * number; }\n'
HANGS: Final = '#include "twice.h"\nint twice_twice(int number) { for (;;) number++; }\n'
UNPRIVILEGED: Final = (  # as docker run --cap-drop ALL and --cap-add for these three
    *("setpriv", "--no-new-privs", "--inh-caps=-all"),
    "--bounding-set=-all,+setuid,+setgid,+kill",
)
# Arguments: the new root, three directories to show in it, and a command.
CONTAINER_SCRIPT: Final = f"""set -e
root=$1; mount --bind / "$root"; mount --rbind /dev "$root/dev"; mount -t proc none "$root/proc"
mount -t mqueue none "$root/dev/mqueue"; mount -t tmpfs -o size=512m,mode=1777 none "$root/tmp"
for each in "$2" "$3" "$4"; do mkdir -p "$root$each"; mount --bind "$each" "$root$each"; done
mount -o remount,bind,ro "$root"; shift 4
exec chroot "$root" {" ".join(UNPRIVILEGED)} "$@"
"""
CONTAINER: Final = (
    *("unshare", "--mount", "--pid", "--fork", "--ipc", "sh", "-c", CONTAINER_SCRIPT, "sh"),
)
SHOWS_COMMAND_LINES: Final = """#include "twice.h"
#include <stdlib.h>
int twice_twice(int number)
{
    system("for f in /proc/[0-9]*/cmdline; do tr '\\\\0' ' ' < $f; echo; done | grep -v '^$'");
    return number;
}
"""

MAY_MOUNT: Final = pytest.mark.skipif(
    subprocess.run(["unshare", "--mount", "true"], capture_output=True).returncode != 0,
    reason="only root with all capabilities can make a container",
)


def labkit(
    root: Path, *arguments: str | Path, cwd: Path | None = None, **env: str
) -> subprocess.CompletedProcess[str]:
    """Runs labkit for the repository `root`."""
    return subprocess.run(
        [LABKIT, "--root", root, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"LABKIT_BUILD": str(root / "build")} | env,
        cwd=cwd,
    )


def hand_in(folder: Path, code: str) -> Path:
    """A submission with this code."""
    folder.mkdir()
    (folder / "twice.c").write_text(code, encoding="utf-8")
    return folder


def tools_without(missing: str, tmp_path: Path) -> Path:
    """A directory for PATH with all programs that a grading runs, except one."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in {"sh", *(tool.name for tool in TOOLS)} - {missing}:
        found = shutil.which(name)
        assert found is not None
        (folder / name).symlink_to(found)
    return folder


def result_of(root: Path, name: str) -> dict[str, Any]:
    """The result.json of a submission."""
    path = root / "build/results" / LAB / name / "result.json"
    result: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return result


def test_a_right_submission_scores_in_full(new_lab_root: Path, tmp_path: Path) -> None:
    """Result and feedback are written, whatever its name; --json prints the result."""
    folder = hand_in(tmp_path / "Doe, J.  (late)", RIGHT)
    done = labkit(new_lab_root, "grade", LAB, folder, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout) == result_of(new_lab_root, folder.name)
    assert result_of(new_lab_root, folder.name)["score"] == 100
    feedback = new_lab_root / "build/results" / LAB / folder.name / "feedback.md"
    assert "100 of 100 points" in feedback.read_text(encoding="utf-8")


def test_paths_may_be_relative(empty_root: Path, tmp_path: Path) -> None:
    """Paths are relative to the working directory; nothing is built in labs/."""
    here = Path()
    assert labkit(here, "new", LAB, cwd=empty_root).returncode == 0
    folder = hand_in(tmp_path / "doe", RIGHT)
    done = labkit(here, "grade", LAB, folder, cwd=empty_root, LABKIT_BUILD="out")
    assert (done.returncode, done.stderr) == (0, "")
    assert (empty_root / "out/kit" / LAB / "test_graded").exists()
    assert not (empty_root / "labs" / LAB / "out").exists()


def test_a_build_folder_that_make_cannot_handle_is_refused(
    new_lab_root: Path, tmp_path: Path
) -> None:
    """The name of the build directory must not contain white space."""
    folder = hand_in(tmp_path / "doe", RIGHT)
    done = labkit(new_lab_root, "grade", LAB, folder, LABKIT_BUILD=str(tmp_path / "two words"))
    assert done.returncode == 3
    assert "white space" in done.stderr


def test_a_header_of_the_lab_is_found_by_quotes_only(new_lab_root: Path, tmp_path: Path) -> None:
    """As in a student's directory; so a header may have the name of a system header."""
    folder = hand_in(tmp_path / "angle", RIGHT.replace('"twice.h"', "<twice.h>"))
    labkit(new_lab_root, "grade", LAB, folder)
    assert not result_of(new_lab_root, "angle")["build"]["ok"]


def test_what_does_not_compile_is_graded(new_lab_root: Path, tmp_path: Path) -> None:
    """The score is 0, the exit status 0, and the compiler's output is shown."""
    done = labkit(new_lab_root, "grade", LAB, hand_in(tmp_path / "no", "int twice_twice(\n"))
    assert done.returncode == 0
    assert "0 of 100 points" in done.stdout
    assert "./twice.c:1" in done.stdout


def test_a_compiler_that_never_ends_is_a_compile_error(new_lab_root: Path, tmp_path: Path) -> None:
    """A compiler that exceeds its limits costs the student the score."""
    folder = hand_in(tmp_path / "zero", '#include "/dev/zero"\n')
    done = labkit(new_lab_root, "grade", LAB, folder)
    assert (done.returncode, result_of(new_lab_root, "zero")["score"]) == (0, 0)


def test_warnings_cost_their_points(new_lab_root: Path, tmp_path: Path) -> None:
    """The feedback names the line of the warning."""
    folder = hand_in(tmp_path / "warns", RIGHT + "static int unused;\n")
    labkit(new_lab_root, "grade", LAB, folder)
    result = result_of(new_lab_root, "warns")
    failed = [t for t in result["tests"] if t["status"] != "pass"]
    assert [t["name"] for t in failed] == ["warnings"]
    assert "twice.c:3" in failed[0]["shown"]["message"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["no-such-lab", "."], "there are: 08-twice"),
        (["", "."], "there are: 08-twice"),
        ([LAB, "no such folder"], "does not exist"),
        ([LAB, "/dev/null"], "device"),
        ([LAB, "--box", "cage", "."], "cage"),
        ([LAB, "--jobs", "0", "."], "--jobs"),
    ],
)
def test_bad_input_is_exit_status_2(new_lab_root: Path, arguments: list[str], message: str) -> None:
    """The message names the bad input; there is no result."""
    done = labkit(new_lab_root, "grade", *arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_an_output_folder_that_cannot_be_written_is_a_grader_error(
    new_lab_root: Path, tmp_path: Path
) -> None:
    """The result is printed before the error."""
    (tmp_path / "file").touch()
    folder = hand_in(tmp_path / "doe", RIGHT)
    done = labkit(new_lab_root, "grade", LAB, folder, "--out", tmp_path / "file/out")
    assert done.returncode == 3
    assert "100 of 100" in done.stdout
    assert "cannot be written" in done.stderr


@pytest.mark.parametrize("tool", ["gcc", "valgrind"])
def test_a_missing_tool_is_a_grader_error(new_lab_root: Path, tmp_path: Path, tool: str) -> None:
    """A missing tool never costs points; the message names the tool."""
    tools = tools_without(tool, tmp_path)
    folder = hand_in(tmp_path / "doe", RIGHT)
    done = labkit(new_lab_root, "grade", LAB, folder, PATH=str(tools))
    assert done.returncode == 3
    assert f"{tool} is not installed" in done.stderr + done.stdout
    assert "of 100 points" not in done.stdout
    if tool == "valgrind":  # the other results are kept
        result = result_of(new_lab_root, "doe")
        assert (result["status"], result["score"]) == ("error", None)
        assert [t["status"] for t in result["tests"]].count("pass") > 0


def test_without_bubblewrap_its_sandbox_is_refused(new_lab_root: Path, tmp_path: Path) -> None:
    """The grader fails closed: it never uses a weaker kind instead."""
    tools = tools_without("bwrap", tmp_path)
    folder = hand_in(tmp_path / "doe", RIGHT)
    for option in ("--sandbox", "--box"):  # --box is an alias
        done = labkit(new_lab_root, "grade", LAB, folder, option, "bwrap", PATH=str(tools))
        assert done.returncode == 3
        assert "bwrap is not installed" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="sandboxes of kind uid need root")
@pytest.mark.skipif(not landlock_abi(), reason="no Landlock in this kernel")
def test_a_uid_sandbox_grades_a_fresh_clone(new_lab_root: Path, tmp_path: Path) -> None:
    """Although every user could read its solutions: Landlock refuses them to a submission."""
    folder = hand_in(tmp_path / "doe", RIGHT)
    opened = Path("/tmp", f"labkit-test-{os.getpid()}")
    shutil.copytree(new_lab_root, opened, symlinks=True)
    try:
        opened.chmod(0o755)
        done = labkit(opened, "grade", LAB, folder, "--box", "uid")
        assert done.returncode == 0, done.stderr
        assert result_of(opened, "doe")["sandbox"] == "uid"
        assert result_of(opened, "doe")["score"] == 100
        results = opened / "build/results" / LAB / "doe"
        assert results.stat().st_mode & 0o077 == 0
    finally:
        shutil.rmtree(opened)


@MAY_MOUNT
def test_an_unprivileged_container_can_grade(new_lab_root: Path, tmp_path: Path) -> None:
    """Its root is read-only, /tmp has a size, and its superuser has three capabilities."""
    folder = hand_in(tmp_path / "doe", RIGHT)
    (tmp_path / "root").mkdir()
    grade = [str(LABKIT), "--root", str(new_lab_root), "grade", LAB, str(folder)]
    done = subprocess.run(
        [*CONTAINER, str(tmp_path / "root"), *map(str, (ROOT, new_lab_root, folder)), *grade],
        capture_output=True,
        text=True,
        env=os.environ | {"LABKIT_BUILD": str(new_lab_root / "build")},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "100 of 100 points" in done.stdout
    assert "sandbox uid" in done.stdout


@MAY_MOUNT
def test_a_container_without_message_queues_is_refused(new_lab_root: Path, tmp_path: Path) -> None:
    """Root without the capability to mount cannot do it itself; the message has the command."""
    folder = hand_in(tmp_path / "doe", RIGHT)
    command = [*UNPRIVILEGED, str(LABKIT), "--root", str(new_lab_root)]
    command += ["grade", LAB, str(folder), "--box", "uid"]
    need_message_queues()
    unmounted = ["unshare", "--mount", "sh", "-c", 'umount /dev/mqueue && exec "$@"', "sh"]
    env = os.environ | {"LABKIT_BUILD": str(new_lab_root / "build")}
    done = subprocess.run([*unmounted, *command], capture_output=True, text=True, env=env)
    assert done.returncode == 3
    assert "mount -t mqueue none /dev/mqueue" in done.stderr + done.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="sandboxes of kind uid need root")
def test_no_command_line_shows_what_a_submission_must_not_know(
    new_lab_root: Path, tmp_path: Path
) -> None:
    """A uid sandbox can read every command line: neither seed, nor test, nor path is in one."""
    seed, folder = "976531", hand_in(tmp_path / "private", SHOWS_COMMAND_LINES)
    labkit(new_lab_root, "grade", LAB, folder, "--box", "uid", "--seed", seed)
    shown = [test["shown"] for test in result_of(new_lab_root, "private")["tests"]]
    output = next(test["output"] for test in shown if test["output"])
    assert "--fork-server" in output  # its own is there
    assert "--arguments-fd" in output
    assert not [word for word in (seed, "twice_doubles", str(folder)) if word in output]


def test_an_interrupted_run_writes_a_partial_result(new_lab_root: Path, tmp_path: Path) -> None:
    """The exit status is 130; there is no score, and no sandbox is left behind."""
    folder = hand_in(tmp_path / "hangs", HANGS)
    process = subprocess.Popen(
        [LABKIT, "--root", new_lab_root, "grade", LAB, folder],
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"LABKIT_BUILD": str(new_lab_root / "build")},
    )
    wait_until(lambda: descendants(process.pid, "--fork-server"))
    process.send_signal(signal.SIGTERM)
    output, _ = process.communicate(timeout=WAIT_SECONDS)
    assert process.returncode == 130
    assert "interrupted" in output
    assert "GRADER ERROR" not in output
    assert "not run: " in output, output
    result = result_of(new_lab_root, "hangs")
    assert (result["status"], result["score"]) == ("incomplete", None)
    assert not processes_with(str(folder))


def test_doctor_checks_whether_this_machine_can_grade(new_lab_root: Path) -> None:
    """The exit status is 0 if it can, otherwise 3 with a remedy."""
    done = labkit(new_lab_root, "doctor")
    assert done.returncode == 0
    assert "sandboxes of kind bwrap" in done.stdout
    done = labkit(new_lab_root, "doctor", PATH="/nonexistent")
    assert done.returncode == 3
    assert "to fix: apt-get install gcc" in done.stdout
