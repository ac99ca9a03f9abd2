"""Imports of labkit point one way, so that each package can be read without those above it."""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Final

PACKAGE: Final = Path(__file__).parents[1] / "labkit"

# What each may import; `report` imports only the result.
BASE: Final = {"errors", "hashing", "limits", "tools", "result", "__init__"}
MAY_IMPORT: Final[dict[str, set[str]]] = {
    "lab": BASE,
    "sandbox": BASE,
    "report": {"result"},
    "intake": BASE | {"lab"},
    "grading": BASE | {"lab", "sandbox", "intake"},
    "batch": BASE | {"lab", "sandbox", "intake", "grading", "report"},
    "proof": BASE | {"lab", "sandbox", "intake", "grading"},
    "plugin": BASE | {"lab", "grading", "proof"},
    "cli": BASE | {"lab", "sandbox", "intake", "grading", "report", "proof", "batch"},
}


def imports(path: Path) -> Iterator[str]:
    """The modules of labkit that a file imports anywhere, such as "sandbox.interface"."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (_below(alias.name) for alias in node.names if _is_ours(alias.name))
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            module = node.module or ""
            if _is_ours(module):
                for alias in node.names:
                    inner = _below(f"{module}.{alias.name}")
                    yield inner if _exists(inner) else _below(module)


def _is_ours(module: str) -> bool:
    return module.partition(".")[0] == "labkit"


def _below(module: str) -> str:
    return module.partition(".")[2] or "__init__"


def _exists(module: str) -> bool:
    path = PACKAGE / module.replace(".", "/")
    return path.with_suffix(".py").exists() or (path / "__init__.py").exists()


def modules() -> dict[str, set[str]]:
    """Each module with the modules that it imports."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")
        found[name] = set(imports(path))
    return found


def test_packages_import_only_lower_layers() -> None:
    """Every package and top-level module is in the table, and imports only what it allows."""
    for module, imported in modules().items():
        layer = module.partition(".")[0]
        allowed = {layer} | MAY_IMPORT.get(layer, BASE)
        assert layer in MAY_IMPORT or layer in BASE, module
        assert {name.partition(".")[0] for name in imported} <= allowed, module


def test_there_are_no_import_cycles() -> None:
    """A cycle would raise CycleError, which names the modules."""
    graph = modules()
    assert len(graph) > 30
    assert graph["sandbox.bwrap"] >= {"sandbox.interface", "sandbox.seccomp", "errors"}
    list(TopologicalSorter(graph).static_order())


def test_result_and_errors_are_the_lowest_layer() -> None:
    """The result imports only the errors, and the errors nothing."""
    graph = modules()
    assert graph["errors"] == set()
    assert graph["result"] == {"errors"}
