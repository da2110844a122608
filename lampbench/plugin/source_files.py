"""The source of a plugin: its file, and the local files that it imports."""

import ast
import sys
import sysconfig
from collections.abc import Iterator
from functools import cache
from os.path import relpath
from pathlib import Path

from lampbench.util.hashing import digest, file_digest


def source_digest(file: Path) -> str:
    """The digest of a Python file and of the local files it imports, directly or through them.

    Local are files of the same package, files beside one outside any package, and imported modules
    that neither Python nor an installed package brings. Where the folder is does not matter. Data
    files are not seen, nor is code that is imported under a computed name.
    """
    files: set[Path] = set()
    waiting = [file]
    while waiting:
        found = waiting.pop()
        if found not in files:
            files.add(found)
            waiting += _local_imports(found)
    return digest(sorted([relpath(one, file.parent), file_digest(one)] for one in files))


def is_local(file: Path) -> bool:
    """Whether a module's file is the user's own: not Python's, not installed, not lampbench's."""
    return not any(file.is_relative_to(folder) for folder in _installed())


@cache
def _installed() -> tuple[Path, ...]:
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    folders = {Path(sysconfig.get_path(name)).resolve() for name in names}
    return (*folders, Path(__file__).resolve().parents[1])


def _local_imports(file: Path) -> Iterator[Path]:
    top = file.parent
    while (top / "__init__.py").is_file():
        top = top.parent
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _module_files(top, alias.name.split("."))
                yield from _loaded_files(alias.name)
        elif isinstance(node, ast.ImportFrom):
            start = file.parents[node.level - 1] if node.level else top
            path = node.module.split(".") if node.module else []
            for alias in node.names:
                yield from _module_files(start, [*path, alias.name])
                if not node.level:
                    yield from _loaded_files(".".join([*path, alias.name]))


def _module_files(folder: Path, names: list[str]) -> Iterator[Path]:
    """The files below `folder` that importing a dotted name runs."""
    for name in names:
        module = folder / f"{name}.py"
        if module.is_file():
            yield module.resolve()
            return
        folder = folder / name
        package = folder / "__init__.py"
        if package.is_file():
            yield package.resolve()
        elif not folder.is_dir():
            return


def _loaded_files(name: str) -> Iterator[Path]:
    """The user's own files among the imported modules of a dotted name."""
    parts = name.split(".")
    for length in range(1, len(parts) + 1):
        module = sys.modules.get(".".join(parts[:length]))
        file = getattr(module, "__file__", None)
        if file and (path := Path(file).resolve()).suffix == ".py" and is_local(path):
            yield path
