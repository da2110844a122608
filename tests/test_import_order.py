"""The rooms of the house: imports point down, and no files form a circle.

Every import counts: those inside functions and those for type checkers only, too.
"""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

STOREYS = [
    {"util", "bundled"},
    {"core"},
    {"engine", "data"},
    {"plugin"},
    {"registry", "paper"},
    {"scoring"},
    {"record"},
    {"execution", "report"},
    {"study", "contract", "scaffold"},
    {"workers"},
    {"api", "testing"},
    {"cli"},
]
"""From the ground up. A room imports from lower storeys, and from itself."""
PLUGINS = {"methods", "tasks", "metrics", "engines"}
"""Built-in plugins: reached through the registry alone; they import what plugin authors may."""
ENTRANCES = {"__init__", "__main__"}

STOREY = {room: number for number, rooms in enumerate(STOREYS) for room in rooms}


def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name."""
    found = {}
    for top, prefix in (
        (ROOT / "lampbench", "lampbench"),
        *((ROOT / name, f"lampbench.{name}") for name in ("methods", "tasks")),
    ):
        for file in top.rglob("*.py"):
            parts = file.relative_to(top).with_suffix("").parts
            parts = parts[:-1] if parts[-1] == "__init__" else parts
            found[".".join((prefix, *parts))] = file
    return found


MODULES = modules()


def imports(name: str) -> Iterator[str]:
    """The modules of the package that a module imports."""
    package = MODULES[name].name == "__init__.py"
    for node in ast.walk(ast.parse(MODULES[name].read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = name.split(".")
                start = parts[: len(parts) - node.level + package]
                base = ".".join([*start, *([base] if base else [])])
            inner = [f"{base}.{alias.name}" for alias in node.names]
            targets = [one if one in MODULES else base for one in inner]
        else:
            continue
        for target in targets:
            if target in MODULES and target != name:
                yield target


GRAPH = {name: set(imports(name)) for name in MODULES}


def room(name: str) -> str:
    """`lampbench.engine.batched.memory` is in the room `engine`."""
    return name.split(".")[1] if "." in name else "__init__"


def test_every_room_has_a_storey():
    assert {room(name) for name in MODULES} == STOREY.keys() | PLUGINS | ENTRANCES


@pytest.mark.parametrize("name", sorted(name for name in MODULES if room(name) in STOREY))
def test_imports_point_down(name):
    here = room(name)
    for target in GRAPH[name]:
        there = room(target)
        if there == "__init__":
            continue  # the version
        assert there not in PLUGINS, f"{name} imports {target}: ask the registry for it"
        assert there == here or STOREY[there] < STOREY[here], f"{name} imports {target}: upward"


@pytest.mark.parametrize("name", sorted(name for name in MODULES if room(name) in PLUGINS))
def test_plugins_import_what_authors_may(name):
    allowed = {"plugin", "util", "core", room(name)}
    if room(name) == "engines":
        allowed.add("engine")
    assert {room(target) for target in GRAPH[name]} <= allowed


def test_no_circle():
    try:
        TopologicalSorter(GRAPH).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))
