"""Fixtures of several test files: a repository with one new lab in it, the kinds of sandbox."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings
from sandboxes import PROTECTING, available_kind

from labkit.lab.kit import build_kit
from labkit.lab.manifest import load_lab
from labkit.lab.new import new_lab
from labkit.sandbox.interface import KINDS, SandboxKind

REPOSITORY = Path(__file__).parents[2]

# Random input.  `make test` draws the same few examples every time; `make fuzz` draws others, and
# reduces what it finds.
ANY_SPEED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("fuzz", ANY_SPEED, max_examples=1000)
settings.register_profile(
    "test",
    ANY_SPEED,
    max_examples=25,
    derandomize=True,
    database=None,
    phases=(Phase.explicit, Phase.generate),
)
settings.load_profile("test")


@pytest.fixture
def empty_root(tmp_path: Path) -> Path:
    """A repository without labs, with this repository's test kit."""
    return make_root(tmp_path / "empty")


@pytest.fixture(scope="session")
def new_lab_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository with lab 08-twice as `labkit new` makes it, kit built; tests copy it."""
    root = make_root(tmp_path_factory.mktemp("repository") / "root")
    new_lab(root, "08-twice")
    build_kit(load_lab(root, "08-twice"))
    return root


def make_root(root: Path) -> Path:
    """Makes the directories of a repository, with links to this repository's test kit."""
    (root / "labs").mkdir(parents=True)
    for name in ("lab.mk", "testkit"):
        (root / "labs" / name).symlink_to(REPOSITORY / "labs" / name)
    return root


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> SandboxKind:
    """Each kind of sandbox that this machine can make."""
    return available_kind(request.param)


@pytest.fixture(params=PROTECTING)
def protecting(request: pytest.FixtureRequest) -> SandboxKind:
    """Each kind for foreign code that this machine can make."""
    return available_kind(request.param)
