"""The order of imports inside lampbench/engine: what both engines share knows neither of them."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ENGINE = ROOT / "lampbench" / "engine"
MODULES = {
    ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): file
    for file in sorted(ENGINE.rglob("*.py"))
}
ENGINES = ("lampbench.engine.batched", "lampbench.engine.reference", "lampbench.engine.vllm")
PLUGINS = ROOT / "lampbench" / "engines"


def imports(module: str) -> set[str]:
    """Modules of lampbench that a module imports, in functions and for type-checking too."""
    tree = ast.parse(MODULES[module].read_text(encoding="utf-8"))
    return {name for node in ast.walk(tree) for name in _imported(node)}


def _imported(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, "relative imports hide the order"
        names = [node.module or ""]
        names += [f"{node.module}.{alias.name}" for alias in node.names]
        names = [name for name in names[1:] if name in MODULES] or names[:1]
    else:
        return
    yield from (name for name in names if name.partition(".")[0] == "lampbench")


def within(name: str, package: str) -> bool:
    return name == package or name.startswith(f"{package}.")


@pytest.mark.parametrize("module", MODULES)
def test_only_core_and_util_are_imported_from_outside(module: str) -> None:
    rooms = {name.split(".")[1] for name in imports(module)}
    assert rooms <= {"engine", "core", "util"}


@pytest.mark.parametrize("engine", ENGINES)
def test_nothing_beside_an_engine_imports_it(engine: str) -> None:
    """Not even the pool: its plugin in lampbench/engines opens it."""
    users = {module for module in MODULES if any(within(each, engine) for each in imports(module))}
    assert all(within(module, engine) for module in users)


@pytest.mark.parametrize("file", sorted(PLUGINS.glob("[!_]*.py")), ids=lambda file: file.stem)
def test_a_plugin_imports_its_engine_when_it_is_opened(file: Path) -> None:
    """Inside functions, so that finding engines loads no torch."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    top = {name for node in tree.body for name in _imported(node)}
    assert top
    assert not any(within(name, engine) for name in top for engine in ENGINES)


def test_no_files_import_one_another_in_a_circle() -> None:
    graph = {module: imports(module) & MODULES.keys() for module in MODULES}
    while ready := [module for module, needed in graph.items() if not needed]:
        for module in ready:
            del graph[module]
        graph = {module: needed - set(ready) for module, needed in graph.items()}
    assert not graph, f"a circle among {sorted(graph)}"
