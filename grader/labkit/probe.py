"""Which kinds of box this machine can make; fails closed.

A probe costs 10 ms, so its answer is kept until something changes that
decides it: the boot, the user, bubblewrap itself, the kernel's switches.
"""

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from labkit import uids
from labkit.box import KINDS, BoxKind, Bwrap, Job, Kind, Own, Uid, become, run_job
from labkit.errors import GraderError, UsageError
from labkit.kit import Kit, build_folder
from labkit.manifest import Lab, Limits

BOXES: Final[dict[Kind, BoxKind]] = {"bwrap": Bwrap(), "uid": Uid(), "none": Own()}
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
PROBE_SECONDS: Final = 10.0


def choose(wanted: str, lab: Lab, kit: Kit) -> BoxKind:
    """The box kind to grade with; GraderError, never a weaker kind than was asked for."""
    if wanted not in CHOICES:
        raise UsageError(f"no box kind {wanted!r}; there are: {', '.join(CHOICES)}")
    problems = []
    for name in PROTECTING if wanted == AUTO else [k for k in KINDS if k == wanted]:
        problem, cure = _remembered(name, build_folder(lab.root) / "kit"), mend(name)
        if not problem and name == "uid":
            problem = readable_secrets(lab, kit)
            history = f" {_history(lab)}" if _history(lab).exists() else ""
            cure = f"chmod -R go= {lab.soldir.parent} {kit.folder.parent}{history}"
        if not problem:
            return BOXES[name]
        problems.append(f"{name}: {problem}\n    to mend: {cure}")
    raise GraderError("no box can be made to run the submission in\n  " + "\n  ".join(problems))


def problem_of(name: Kind) -> str:
    """Why this machine cannot make boxes of a kind; "" when it can."""
    own: dict[Kind, str] = {"bwrap": "bwrap", "uid": "setpriv"}
    for tool in filter(None, ("choom", "prlimit", own.get(name))):
        if shutil.which(tool) is None:
            return f"{tool} is not installed"
    if name == "uid" and os.geteuid() != 0:
        return "needs root, to become other users"
    try:
        job = Job(argv=("true",), views=(), limits=Limits())
        outcome = run_job(BOXES[name], job, seconds=PROBE_SECONDS)
    except GraderError as error:
        return str(error)
    return "" if outcome.status == 0 else outcome.output.strip() or f"status {outcome.status}"


def mend(name: Kind) -> str:
    """What to do when a kind of box cannot be made."""
    if shutil.which("bwrap") is None and name == "bwrap":
        return "apt-get install bubblewrap"
    if name != "bwrap":
        return "run as root"
    for path, wanted in NAMESPACE_SWITCHES.items():
        file = Path(path)
        if file.exists() and file.read_text(encoding="ascii").strip() != wanted:
            key = path.removeprefix("/proc/sys/").replace("/", ".")
            return f"as root: sysctl -w {key}={wanted} (and in /etc/sysctl.d, to keep it)"
    return (
        "allow user namespaces (sysctl user.max_user_namespaces); inside a container "
        "they are refused by its seccomp profile, run as root there to use kind uid"
    )


def readable_secrets(lab: Lab, kit: Kit) -> str:
    """What a box of kind uid could read and must not; "" when there is nothing."""
    secrets = [p for p in lab.soldir.rglob("*") if p.is_file()] + [kit.test_graded]
    secrets.append(_history(lab) / "HEAD")
    lease = uids.lease()
    try:
        seen = subprocess.run(
            [
                *become(lease),
                "sh",
                "-c",
                'for f; do [ ! -r "$f" ] || echo "$f"; done',
                "sh",
                *secrets,
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    finally:
        lease.release()
    if seen.returncode:
        return f"cannot become uid {lease.uid}: {seen.stderr.strip()}"
    readable = seen.stdout.splitlines()
    return f"submissions could read {readable[0]}" if readable else ""


def _history(lab: Lab) -> Path:
    """Where git keeps what solutions/ holds and held, if it does."""
    return lab.root / ".git"


def _remembered(name: Kind, folder: Path) -> str:
    """problem_of(), from the notes of an earlier run where nothing has changed since."""
    notes = folder / "boxes.json"
    state = _state()
    try:
        known = json.loads(notes.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        known = {}
    if known.get("state") != state:
        known = {"state": state}
    if name not in known:
        known[name] = problem_of(name)
        if not known[name] and os.access(folder, os.W_OK):
            _write(notes, json.dumps(known))
    return str(known[name])


def _write(path: Path, text: str) -> None:
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False, encoding="utf-8") as file:
        file.write(text)
    Path(file.name).rename(path)


def _state() -> str:
    """Changes when a probe may come out otherwise."""
    parts = [str(os.geteuid())]
    for tool in ("bwrap", "setpriv", "prlimit"):
        path = shutil.which(tool)
        parts.append(str(os.stat(path).st_mtime_ns) if path else "missing")  # noqa: PTH116
    parts += [_text(path) for path in SWITCHES]
    return " ".join(parts)


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii").strip()
    except OSError:
        return "-"
