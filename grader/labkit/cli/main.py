"""The command line.  Each command imports its modules when it runs, to start quickly."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NoReturn

import click

from labkit import __version__
from labkit.errors import (
    EXIT_BAD_INPUT,
    EXIT_DISPROVED,
    EXIT_GRADED,
    EXIT_GRADER,
    EXIT_INTERRUPTED,
    GraderError,
    LabkitError,
    UsageError,
)

if TYPE_CHECKING:
    from labkit.batch import GradeOptions
    from labkit.lab.manifest import Lab
    from labkit.result import Result

PAGE_WIDTH: Final = 140  # of a table that is not printed on a terminal

EXIT_CODES: Final = f"""\b
Exit status:
  {EXIT_GRADED}    graded, whatever the score
  {EXIT_BAD_INPUT}    the input cannot be graded: no such lab, no such file, ...
  {EXIT_GRADER}    the grader itself failed; there is no score
  {EXIT_INTERRUPTED}  interrupted; the partial result is written and marked as incomplete
"""

EXIT_CODES_OF_PROOF: Final = f"""\b
Exit status:
  {EXIT_GRADED}    all checks passed
  {EXIT_DISPROVED}    a check failed
  {EXIT_BAD_INPUT}    no such lab, ...
  {EXIT_GRADER}    the grader itself failed
  {EXIT_INTERRUPTED}  interrupted
"""


def main() -> NoReturn:
    """Runs a command; every exit status of labkit is decided here."""
    signal.signal(signal.SIGTERM, _terminate)
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)  # `labkit ... | head` ends quietly
    try:
        status = cli(standalone_mode=False)
    except click.ClickException as error:
        error.show()
        status = EXIT_BAD_INPUT
    except (KeyboardInterrupt, click.Abort):
        click.echo("labkit: interrupted", err=True)
        status = EXIT_INTERRUPTED
    except LabkitError as error:
        kind = "grader error: " if isinstance(error, GraderError) else ""
        click.echo(f"labkit: {kind}{error}", err=True)
        status = error.exit_code
    sys.exit(status)


def _terminate(number: int, frame: object) -> None:  # noqa: ARG001  (the interface)
    raise KeyboardInterrupt


@click.group()
@click.version_option(__version__, prog_name="labkit")
@click.option(
    "--root",
    type=click.Path(path_type=Path),
    envvar="LABKIT_ROOT",
    help="The repository with labs/ and solutions/ (default: the one that contains labkit).",
)
@click.option(
    "--uids",
    metavar="FIRST-LAST",
    envvar="LABKIT_UIDS",
    help="The uids for sandboxes, when labkit runs as root (default: another range in each "
    "container of a host).",
)
@click.pass_context
def cli(context: click.Context, root: Path | None, uids: str | None) -> None:
    """Grades C labs: builds, sandboxes, tests and scores submissions."""
    if uids:
        os.environ["LABKIT_UIDS"] = uids
    context.obj = root.resolve() if root else Path(__file__).parents[3]


sandbox_option: Callable[..., Any] = click.option(
    "--sandbox",
    "--box",
    "sandbox",
    default="auto",
    envvar=["LABKIT_SANDBOX", "LABKIT_BOX"],
    show_default=True,
    type=click.Choice(["auto", "bwrap", "uid", "none"]),
    help="Kind of sandbox; none does not protect: for your own code only.  --box is an alias.",
)


@cli.command(epilog=EXIT_CODES)
@click.argument("lab")
@click.argument("submission", required=False, type=click.Path(path_type=Path))
@sandbox_option
@click.option("--valgrind/--no-valgrind", default=True, help="Run the Valgrind pass too.")
@click.option(
    "--jobs",
    default=2,
    show_default=True,
    type=click.IntRange(1),
    help="Tests to run at the same time.",
)
@click.option("--seed", type=click.IntRange(0), help="Seed of the random tests.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    help="Directory for result.json and feedback.md (default: build/results/LAB/SUBMISSION).",
)
@click.option(
    "--sample",
    default="small",
    show_default=True,
    type=click.Choice(["small", "all"]),
    help="Size of the sample class: about ten submissions, or all of the repository.",
)
@click.option("--junit", type=click.Path(path_type=Path), help="Write JUnit XML to this file.")
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
@click.pass_obj
def grade(
    root: Path,
    /,
    *,
    lab: str,
    submission: Path | None,
    out: Path | None,
    sample: str,
    junit: Path | None,
    as_json: bool,
    **options: Any,
) -> int:
    """Grades SUBMISSION of LAB, or a sample class.

    SUBMISSION is a directory, a file or an archive.

    Example: labkit grade 01-buddy ~/inbox/doe.zip
    """
    from labkit import batch
    from labkit.intake.collect import submission_name
    from labkit.lab.manifest import load_lab

    the_lab = load_lab(root, lab)
    grade_options = batch.GradeOptions(**options)
    if submission is None:
        if out or junit or as_json:
            raise UsageError("--out, --junit and --json need a SUBMISSION")
        return _grade_sample_class(the_lab, grade_options, everything=sample == "all")
    folder = out or batch.result_folder(the_lab, submission_name(submission))
    result = batch.grade(the_lab, submission, grade_options)
    _print(result, folder, as_json=as_json)
    batch.write_result(result, folder)
    if junit:
        _write_junit(result, junit)
    return batch.exit_status(result)


def _print(result: "Result", folder: Path, *, as_json: bool) -> None:
    if as_json:
        click.echo(result.to_json(), nl=False)
        return
    from labkit.report.terminal import summary

    click.echo(summary(result, folder))


def _write_junit(result: "Result", path: Path) -> None:
    from labkit.report.junit import junit

    try:
        path.write_text(junit(result), encoding="utf-8")
    except OSError as error:
        raise GraderError(f"{path} cannot be written: {error}") from error


def _grade_sample_class(lab: "Lab", options: "GradeOptions", *, everything: bool) -> int:
    """Grades a sample class generated from the repository, and prints a table."""
    from rich.console import Console
    from rich.progress import Progress

    from labkit.batch import grade_class, result_folder
    from labkit.proof.sample import sample_class
    from labkit.report.terminal import class_table

    submissions = sample_class(lab, everything=everything)
    entries, statuses = [], [EXIT_GRADED]
    with Progress(console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(f"grading {lab.name}", total=len(submissions))
        for entry, status in grade_class(lab, submissions, options):
            entries.append(entry)
            statuses.append(status)
            progress.advance(task)
    title = f"{lab.name}: {lab.title}, a sample class"
    width = None if sys.stdout.isatty() else PAGE_WIDTH
    Console(width=width).print(class_table(title, entries))
    click.echo(f"results and feedback: {result_folder(lab, 'NAME')}")
    return max(statuses)


@cli.command(epilog=EXIT_CODES_OF_PROOF)
@click.argument("labs", nargs=-1)
@sandbox_option
@click.option(
    "--repeat",
    default=1,
    show_default=True,
    type=click.IntRange(1),
    help="Gradings of the reference and of each accepted solution.",
)
@click.option("--load", is_flag=True, help="Run the last repetition on a busy machine.")
@click.option(
    "--parallel",
    default=2,
    show_default=True,
    type=click.IntRange(1),
    help="Checks to run at the same time.",
)
@click.option(
    "--full/--quick",
    default=True,
    help="Run all tests of every broken version, or those that it names and a few others.",
)
@click.pass_obj
def verify(root: Path, /, *, labs: tuple[str, ...], parallel: int, **settings: Any) -> int:
    """Proves LABS (default: all).

    Correct solutions must score 100 %; every broken version must fail the tests that it names and
    no others.  If all checks of a full run pass, solutions/LAB/verified.json records the contents.

    Example: labkit verify 01-buddy
    """
    from labkit.lab.manifest import lab_names, load_lab
    from labkit.proof import verify as proof
    from labkit.proof.record import record_verified

    options = proof.Options(**settings)
    worst = EXIT_GRADED
    for name in labs or lab_names(root):
        lab = load_lab(root, name)
        outcomes = []
        for outcome in proof.verify(lab, options, parallel=parallel):
            outcomes.append(outcome)
            click.echo(f"{outcome.verdict:6} {outcome.name}  {outcome.seconds:.2f} s")
            for problem in outcome.problems:
                click.echo(f"       {problem}")
        passed = sum(o.verdict == "ok" for o in outcomes)
        click.echo(f"{name}: {passed} of {len(outcomes)} checks passed")
        if options.full and passed == len(outcomes):
            record_verified(lab)
        worst = max(worst, proof.exit_status(outcomes))
    return worst


@cli.command(epilog=EXIT_CODES_OF_PROOF)
@click.argument("lab")
@click.argument("submission", required=False, type=click.Path(path_type=Path))
@click.option(
    "--times",
    default=200,
    show_default=True,
    type=click.IntRange(1),
    help="Runs of each test.",
)
@sandbox_option
@click.pass_obj
def soak(root: Path, lab: str, submission: Path | None, times: int, sandbox: str) -> int:
    """Runs every test of LAB many times.

    The machine is kept busy, and all verdicts of a test must agree.  The reference is tested, and
    must pass, unless SUBMISSION is given.

    Example: labkit soak 04-pipeline --times 20
    """
    import time

    from labkit.lab.manifest import load_lab
    from labkit.proof import soak as soaking

    the_lab = load_lab(root, lab)
    soaked = []
    started = time.monotonic()
    for one in soaking.soak(the_lab, submission, times=times, sandbox=sandbox):
        soaked.append(one)
        click.echo(f"{'ok' if one.agrees else 'wrong':6} {one.name}", err=True)
        if one.outlier:
            click.echo(f"       {one.outlier}", err=True)
    click.echo(soaking.table(the_lab, soaked, started=started))
    proved = all(one.agrees and (submission or "pass" in one.verdicts) for one in soaked)
    return EXIT_GRADED if proved else EXIT_DISPROVED


@cli.command()
@click.argument("name")
@click.pass_obj
def new(root: Path, name: str) -> int:
    """Writes the files of a new lab NAME.

    The lab compiles and has one test.

    Example: labkit new 08-mailbox
    """
    from labkit.lab.new import new_lab

    for path in new_lab(root, name):
        click.echo(f"wrote {path.relative_to(root)}")
    click.echo(
        f"CONTRIBUTING.md lists the next steps; `labkit verify {name}` lists what is missing"
    )
    return EXIT_GRADED


@cli.command()
@click.argument("lab")
@click.option("--check", is_flag=True, help="Change nothing; exit status 1 if something differs.")
@click.pass_obj
def skeleton(root: Path, lab: str, *, check: bool) -> int:
    """Writes the skeleton and the rubric of LAB.

    They are generated from the reference and from lab.toml.

    Example: labkit skeleton 01-buddy
    """
    from labkit.lab.kit import build_kit
    from labkit.lab.manifest import load_lab
    from labkit.lab.rubric import write_rubric
    from labkit.lab.skeleton import skeleton_diff, write_skeleton

    the_lab = load_lab(root, lab)
    if check:
        diff = skeleton_diff(the_lab)
        click.echo(diff, nl=False)
        return EXIT_DISPROVED if diff else EXIT_GRADED
    for name in write_skeleton(the_lab):
        click.echo(f"wrote labs/{lab}/{name}")
    if write_rubric(the_lab, build_kit(the_lab)):
        click.echo(f"wrote the rubric in handouts/{lab}.md")
    return EXIT_GRADED


@cli.command()
def doctor() -> int:
    """Checks whether this machine can grade.

    Says how to fix what is missing.  Exit status 0 if grading is possible.
    """
    from labkit.cli.doctor import examine, possible, report

    checks = examine()
    click.echo(report(checks))
    return EXIT_GRADED if possible(checks) else EXIT_GRADER


@cli.command()
@click.pass_obj
def labs(root: Path) -> int:
    """Lists the labs that can be graded."""
    from labkit.lab.manifest import lab_names

    for name in lab_names(root):
        click.echo(name)
    return EXIT_GRADED
