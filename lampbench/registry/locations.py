"""Where plugins are: built-in files, entry points of installed packages, and `--plugins` paths.

Files are scanned, not imported: the names that a file registers are read from its decorators, so
that only the plugin asked for is ever imported, and a broken one does not stop the others.
"""

import ast
import difflib
import importlib
import importlib.metadata
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Literal

from lampbench.util.hashing import digest

Kind = Literal["method", "task", "metric", "engine"]
KINDS: tuple[Kind, ...] = ("method", "task", "metric", "engine")


@dataclass(frozen=True, slots=True)
class PluginLocation:
    """A plugin that was found: its name, its file and line, and how to import it.

    `error` says why the file could not even be scanned. `class_name` is known where it was.
    """

    kind: Kind
    name: str
    origin: str
    module: str
    file: Path | None = None
    error: str | None = None
    class_name: str | None = None


def found_plugins(paths: Sequence[Path]) -> list[PluginLocation]:
    """All plugins: the built-in ones, those of installed packages, and those of some paths."""
    everything = [*_builtins(), *_entry_points(), *_explicit(paths)]
    once: dict[tuple[Kind, str, str], PluginLocation] = {}
    for found in everything:
        once.setdefault((found.kind, found.name, found.origin), found)
    return list(once.values())


def plugin_paths(given: Sequence[str]) -> list[Path]:
    """The `--plugins` values, then those of LAMPBENCH_PLUGINS (separated as in PATH)."""
    listed = os.environ.get("LAMPBENCH_PLUGINS", "").split(os.pathsep)
    return [Path(text) for text in (*given, *listed) if text]


def nearest_plugin(path: Path) -> str:
    """A hint for a path that is not there: the nearest name of a plugin beside it."""
    folder = next((parent for parent in path.parents if parent.is_dir()), None)
    if folder is None:
        return ""
    missing = path.relative_to(folder).parts[0]
    names = [each.name for each in folder.iterdir() if each.suffix == ".py" or each.is_dir()]
    near = difflib.get_close_matches(missing, names, n=1)
    return f"; did you mean {folder / near[0]}?" if near else ""


def _builtins() -> Iterator[PluginLocation]:
    for kind in KINDS:
        package = importlib.import_module(f"lampbench.{kind}s")
        for folder in package.__path__:
            for file in sorted(Path(folder).resolve().glob("[!_]*.py")):
                # metrics and engines may have helpers beside them
                expected = () if kind in ("metric", "engine") else (kind,)
                yield from _scan(file, f"lampbench.{kind}s.{file.stem}", expected)


def _explicit(paths: Sequence[Path]) -> Iterator[PluginLocation]:
    for path in dict.fromkeys(path.resolve() for path in paths):
        folder = path.is_dir()
        for file in sorted(path.glob("[!_]*.py")) if folder else [path]:
            module = f"{package_of(file.parent)}.{file.stem}"
            yield from _scan(file, module, () if folder else KINDS)


def _entry_points() -> Iterator[PluginLocation]:
    for kind in KINDS:
        for point in importlib.metadata.entry_points(group=f"lampbench.{kind}s"):
            package = point.dist.name if point.dist else "unknown package"
            yield PluginLocation(kind, point.name, f"{point.value} ({package})", point.module)


def _scan(file: Path, module: str, expected: Sequence[Kind]) -> Iterator[PluginLocation]:
    """The plugins that a file registers, read from its decorators without importing it.

    A file that cannot be scanned is a finding too, and so is one that registers nothing where
    plugins of the `expected` kinds were (a folder may hold helpers beside its plugins).
    """
    try:
        tree = ast.parse(file.read_bytes(), str(file))
    except (SyntaxError, ValueError, OSError) as error:
        origin = f"{file}:{getattr(error, 'lineno', None) or 1}"
        cause = f"{origin}: {type(error).__name__}: {getattr(error, 'msg', error)}"
        for kind in expected or KINDS:
            yield PluginLocation(kind, file.stem, origin, module, file, cause)
        return
    seen = False
    for node in (one for one in ast.walk(tree) if isinstance(one, ast.ClassDef)):
        for decorator in node.decorator_list:
            if not (registered := _registered_kind(decorator)):
                continue
            origin = f"{file}:{decorator.lineno}"
            if name := _literal_name(decorator):
                seen = True
                yield PluginLocation(registered, name, origin, module, file, class_name=node.name)
            elif node in tree.body:  # one inside a function is made when that is called
                seen = True
                cause = f"{origin}: {_no_name(registered, decorator, file.stem)}"
                yield PluginLocation(registered, file.stem, origin, module, file, cause)
    for kind in () if seen else expected:
        cause = f'{file}:1: no class is decorated with @register_{kind}("{file.stem}")'
        yield PluginLocation(kind, file.stem, f"{file}:1", module, file, cause)


def _registered_kind(decorator: ast.expr) -> Kind | None:
    """Which kind of plugin a decorator such as `@register_method("name")` registers."""
    node = decorator.func if isinstance(decorator, ast.Call) else decorator
    called = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
    return next((kind for kind in KINDS if called == f"register_{kind}"), None)


def _no_name(kind: Kind, decorator: ast.expr, name: str) -> str:
    return (
        f"@{ast.unparse(decorator):.80} must have the name itself, as in "
        f'@register_{kind}("{name}"): files are searched for names without being run'
    )


def _literal_name(decorator: ast.expr) -> str | None:
    """The name that a decorator gives as a text; None where it gives a variable or nothing."""
    arguments = decorator.args if isinstance(decorator, ast.Call) else []
    if len(arguments) == 1 and isinstance(arguments[0], ast.Constant):
        value = arguments[0].value
        return value if isinstance(value, str) else None
    return None


def package_of(folder: Path) -> str:
    """A package made from a folder of plugin files, so that they can import each other."""
    name = f"lampbench_plugins_{digest(str(folder))}"
    if name not in sys.modules:
        package = ModuleType(name)
        package.__path__ = [str(folder)]
        sys.modules[name] = package
    return name
