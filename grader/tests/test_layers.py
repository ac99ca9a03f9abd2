"""Imports of labkit point one way, so that each package can be read without those above it."""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Final

PACKAGE: Final = Path(__file__).parents[1] / "labkit"

# Each may import those that stand below it; `report` reads the result alone.
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
    """The modules of labkit that a file imports, wherever in it: "sandbox.interface"."""
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
    """Each module with those that it imports."""
    found = {}
    for path in PACKAGE.rglob("*.py"):
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")
        found[name] = set(imports(path))
    return found


def test_packages_import_only_what_stands_below_them() -> None:
    """Every package and module at the top is in the table, and keeps to it."""
    for module, imported in modules().items():
        layer = module.partition(".")[0]
        allowed = {layer} | MAY_IMPORT.get(layer, BASE)
        assert layer in MAY_IMPORT or layer in BASE, module
        assert {name.partition(".")[0] for name in imported} <= allowed, module


def test_no_module_imports_itself_by_way_of_others() -> None:
    """A cycle raises CycleError, which names it."""
    graph = modules()
    assert len(graph) > 30
    assert graph["sandbox.bwrap"] >= {"sandbox.interface", "sandbox.seccomp", "errors"}
    list(TopologicalSorter(graph).static_order())


def test_the_result_and_the_errors_stand_at_the_bottom() -> None:
    """Everybody may read a result; it drags nothing of the engine along."""
    graph = modules()
    assert graph["errors"] == set()
    assert graph["result"] == {"errors"}
