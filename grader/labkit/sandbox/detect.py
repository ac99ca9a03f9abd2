"""Detects which kinds of sandbox this machine can make; fails closed.

Detection takes 10 ms, so its result is cached until something that it depends on changes: the boot,
the user, bubblewrap itself, the kernel's settings.
"""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from labkit.errors import GraderError, UsageError
from labkit.limits import Limits
from labkit.sandbox import uids
from labkit.sandbox.bwrap import Bwrap
from labkit.sandbox.interface import KINDS, Job, Kind, SandboxKind, run_job
from labkit.sandbox.launcher import identity_options, landlock_abi, launcher
from labkit.sandbox.none import NoSandbox
from labkit.sandbox.uid import MOUNT_QUEUES, Uid, system_paths

SANDBOXES: Final[dict[Kind, SandboxKind]] = {"bwrap": Bwrap(), "uid": Uid(), "none": NoSandbox()}
AUTO: Final = "auto"
CHOICES: Final = (AUTO, *KINDS)
PROTECTING: Final[tuple[Kind, ...]] = ("bwrap", "uid")
NAMESPACE_SWITCHES: Final = {
    "/proc/sys/kernel/unprivileged_userns_clone": "1",
    "/proc/sys/kernel/apparmor_restrict_unprivileged_userns": "0",
}
SWITCHES: Final = (
    "/proc/sys/kernel/random/boot_id",
    "/proc/sys/user/max_user_namespaces",
    *NAMESPACE_SWITCHES,
)
DETECT_SECONDS: Final = 10.0
FIRST_READABLE: Final = 'for f; do [ ! -r "$f" ] || { echo "$f"; exit 255; }; done'  # 255: no more


def choose(wanted: str, *, secrets: Sequence[Path], notes: Path) -> SandboxKind:
    """The kind of sandbox to grade with; GraderError rather than a weaker kind than requested.

    `secrets` are directories that no submission may read; `notes` is the file of the cache.
    """
    if wanted not in CHOICES:
        raise UsageError(f"no sandbox of kind {wanted!r}; there are: {', '.join(CHOICES)}")
    problems = []
    for name in PROTECTING if wanted == AUTO else [k for k in KINDS if k == wanted]:
        problem, remedy = _cached_problem(name, notes), fix(name)
        if not problem and name == "uid":
            problem = readable_secret(_not_covered_by_landlock(secrets))
            remedy = "chmod -R go= " + " ".join(str(path) for path in secrets if path.exists())
        if not problem:
            return SANDBOXES[name]
        problems.append(f"{name}: {problem}\n    to fix: {remedy}")
    raise GraderError("no sandbox can be made for the submission\n  " + "\n  ".join(problems))


def problem_of(name: Kind) -> str:
    """Why this machine cannot make sandboxes of a kind; "" when it can."""
    own: dict[Kind, tuple[str, ...]] = {
        "bwrap": ("bwrap",),
        "uid": ("find", "xargs", "ipcrm"),
    }
    for tool in ("gcc", *own.get(name, ())):
        if shutil.which(tool) is None:
            return f"{tool} is not installed"
    if name == "uid" and os.geteuid() != 0:
        return "needs root, to change to other uids"
    try:
        job = Job(argv=("true",), mounts=(), limits=Limits())
        outcome = run_job(SANDBOXES[name], job, seconds=DETECT_SECONDS)
    except GraderError as error:
        return str(error)
    return "" if outcome.status == 0 else outcome.output.strip() or f"status {outcome.status}"


def fix(name: Kind) -> str:
    """How to make a kind of sandbox available."""
    if shutil.which("bwrap") is None and name == "bwrap":
        return "apt-get install bubblewrap"
    if name != "bwrap":
        return "run as root" if os.geteuid() else MOUNT_QUEUES
    for path, wanted in NAMESPACE_SWITCHES.items():
        file = Path(path)
        if file.exists() and file.read_text(encoding="ascii").strip() != wanted:
            key = path.removeprefix("/proc/sys/").replace("/", ".")
            return f"as root: sysctl -w {key}={wanted} (and in /etc/sysctl.d, to keep it)"
    return (
        "allow user namespaces (sysctl user.max_user_namespaces); the seccomp profile of a "
        "container refuses them: run as root there, to use kind uid"
    )


def _not_covered_by_landlock(secrets: Sequence[Path]) -> Sequence[Path]:
    """The directories of which Landlock does not refuse every file to a sandbox of kind uid."""
    if landlock_abi() == 0:
        return secrets
    system = [Path(path).resolve() for path in system_paths()]
    return [s for s in secrets if any(s.resolve().is_relative_to(path) for path in system)]


def readable_secret(secrets: Sequence[Path]) -> str:
    """A problem if a sandbox of kind uid could read a file of the secrets; "" if it cannot.

    Root lists the files and the sandbox's uid tries each: a directory that it may enter and not
    list hides no file whose name is known.
    """
    paths = [str(path) for path in secrets if path.exists()]
    if not paths:
        return ""
    find = ["find", "-L", *paths, "-type", "f", "-print0"]
    listed = subprocess.run(find, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    lease = uids.lease()
    drop = [str(launcher()), "--filter=none", *identity_options(lease), "--"]
    try:
        tried = subprocess.run(
            [*drop, "xargs", "-0", "-r", "sh", "-c", FIRST_READABLE, "sh"],
            input=listed.stdout,
            capture_output=True,
            check=False,
        )
    finally:
        lease.release()
    if tried.stdout:
        return f"submissions could read {tried.stdout.decode(errors='replace').strip()}"
    if tried.returncode:
        return f"cannot change to uid {lease.uid}: {tried.stderr.decode(errors='replace').strip()}"
    return ""


def _cached_problem(name: Kind, notes: Path) -> str:
    """Returns problem_of(), cached in `notes` until _state() changes."""
    state = _state()
    try:
        known = json.loads(notes.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        known = {}
    if known.get("state") != state:
        known = {"state": state}
    if name not in known:
        known[name] = problem_of(name)
        if not known[name] and os.access(notes.parent, os.W_OK):
            _write(notes, json.dumps(known))
    return str(known[name])


def _write(path: Path, text: str) -> None:
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as file:
        file.write(text)
    Path(file.name).rename(path)


def _state() -> str:
    """A text that changes when the result of problem_of() may change."""
    parts = [str(os.geteuid())]
    for tool in ("bwrap", "gcc"):
        path = shutil.which(tool)
        parts.append(str(os.stat(path).st_mtime_ns) if path else "missing")  # noqa: PTH116
    parts += [_text(path) for path in SWITCHES]
    parts.append(str(os.stat("/proc/self/ns/pid").st_ino))  # noqa: PTH116  (of the container)
    return " ".join(parts)


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii").strip()
    except OSError:
        return "-"
