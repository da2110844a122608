"""Two public things never share a name, so that a name says what it is wherever it is read.

The command line and the Python face are left out: a command and its function share their name on
purpose. So are the plugins, whose names are scoped by their files.
"""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1] / "lampbench"
FRONT_DOORS = ("cli", "api", "__main__.py", "__init__.py")


def public_names(file: Path) -> Iterator[str]:
    """Classes, functions and constants that a module defines."""
    for node in ast.parse(file.read_text(encoding="utf-8")).body:
        found: list[str] = []
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            found = [node.name]
        elif isinstance(node, ast.Assign):
            found = [target.id for target in node.targets if isinstance(target, ast.Name)]
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found = [node.target.id]
        yield from (name for name in found if not name.startswith("_") and len(name) > 1)


def test_no_public_name_is_defined_twice() -> None:
    homes: dict[str, list[str]] = defaultdict(list)
    for file in sorted(ROOT.rglob("*.py")):
        path = file.relative_to(ROOT)
        if path.parts[0] not in FRONT_DOORS and path.name != "__init__.py":
            for name in public_names(file):
                homes[name].append(path.as_posix())
    assert len(homes) > 400
    assert {name: files for name, files in homes.items() if len(files) > 1} == {}
