"""Finding plugins: built-in files, entry points of installed packages, and `--plugins` paths.

Files are scanned, not imported: the names that a file registers are read off its decorators, so
that only the plugin asked for is ever imported, and a broken one does not stop the others.
"""

import ast
import difflib
import importlib
import importlib.metadata
import importlib.util
import os
import sys
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from lampbench.errors import LampbenchError
from lampbench.hashing import digest

Kind = Literal["method", "task"]
KINDS: tuple[Kind, Kind] = ("method", "task")


@dataclass(frozen=True, slots=True)
class Found:
    """A plugin that was seen: what it is called, where it stands, and how to import it.

    `error` says why the file could not even be scanned.
    """

    kind: Kind
    name: str
    origin: str
    module: str
    file: Path | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A line of `lampbench list`: the loaded plugin, or what is wrong with it."""

    name: str
    origin: str
    plugin: Any
    error: str | None


class Registry:
    """The methods and tasks that can be asked for. Nothing is scanned before the first question.

    `plugins` are files or folders named by the user; a missing one is an error at once.
    """

    def __init__(self, plugins: Sequence[Path] = ()) -> None:
        self._plugins = tuple(plugins)
        self._found: dict[Kind, list[Found]] | None = None
        for path in self._plugins:
            if not path.exists():
                raise LampbenchError(f"{path}: no such plugin file or folder (--plugins)")

    def method(self, name: str) -> Any:
        """An instance of the method called `name`.

        Raises:
            LampbenchError: no such method, two of that name, or its file is broken.
        """
        return self._get("method", name)

    def task(self, name: str) -> Any:
        """An instance of the task called `name`; errors as for `method`."""
        return self._get("task", name)

    def names(self, kind: Kind) -> list[str]:
        """The names that can be asked for, sorted; nothing is imported."""
        return sorted({found.name for found in self._all(kind) if not found.error})

    def rows(self, kind: Kind) -> list[Row]:
        """Every plugin of a kind, imported, broken ones with their cause."""
        rows = []
        for found in sorted(self._all(kind), key=lambda found: (found.name, found.origin)):
            try:
                plugin, error = self._get(kind, found.name), None
            except LampbenchError as problem:
                plugin, error = None, str(problem)
            rows.append(Row(found.name, found.origin, plugin, error))
        return rows

    def _all(self, kind: Kind) -> list[Found]:
        if self._found is None:
            everything = [*_builtins(), *_entry_points(), *_explicit(self._plugins)]
            self._found = {k: [f for f in everything if f.kind == k] for k in KINDS}
        return self._found[kind]

    def _get(self, kind: Kind, name: str) -> Any:
        matches = [found for found in self._all(kind) if found.name == name]
        if not matches:
            near = difflib.get_close_matches(name, self.names(kind), n=1)
            hint = (
                f"did you mean {near[0]}?" if near else f"there are {', '.join(self.names(kind))}"
            )
            raise LampbenchError(f"no {kind} is called {name!r}: {hint}")
        if len(matches) > 1:
            places = " and in ".join(found.origin for found in matches)
            raise LampbenchError(f"{kind} {name!r} is registered twice, in {places}: rename one")
        return _load(matches[0])


def plugin_paths(given: Sequence[str]) -> list[Path]:
    """The `--plugins` values, then those of LAMPBENCH_PLUGINS (separated as in PATH)."""
    listed = os.environ.get("LAMPBENCH_PLUGINS", "").split(os.pathsep)
    return [Path(text) for text in (*given, *listed) if text]


def _builtins() -> Iterator[Found]:
    for kind in KINDS:
        package = importlib.import_module(f"lampbench.{kind}s")
        for folder in package.__path__:
            for file in sorted(Path(folder).glob("[!_]*.py")):
                yield from _scan(file, f"lampbench.{kind}s.{file.stem}", kind)


def _explicit(paths: Sequence[Path]) -> Iterator[Found]:
    for path in dict.fromkeys(path.resolve() for path in paths):
        for file in sorted(path.glob("[!_]*.py")) if path.is_dir() else [path]:
            yield from _scan(file, f"{_package_of(file.parent)}.{file.stem}", None)


def _entry_points() -> Iterator[Found]:
    for kind in KINDS:
        for point in importlib.metadata.entry_points(group=f"lampbench.{kind}s"):
            package = point.dist.name if point.dist else "unknown package"
            yield Found(kind, point.name, f"{point.value} ({package})", point.module)


def _scan(file: Path, module: str, default: Kind | None) -> Iterator[Found]:
    """The plugins that a file registers, read off its decorators.

    A file that cannot be scanned, or a built-in one that registers nothing, is a finding too.
    """
    try:
        tree = ast.parse(file.read_bytes(), str(file))
    except (SyntaxError, ValueError, OSError) as error:
        line = getattr(error, "lineno", None) or 1
        cause = f"{type(error).__name__}: {getattr(error, 'msg', error)}"
        for kind in [default] if default else KINDS:
            origin = f"{file}:{line}"
            yield Found(kind, file.stem, origin, module, file, f"{origin}: {cause}")
        return
    seen = False
    for node in ast.walk(tree):
        for decorator in node.decorator_list if isinstance(node, ast.ClassDef) else ():
            if marked := _registration(decorator):
                seen = True
                kind, name = marked
                yield Found(kind, name, f"{file}:{decorator.lineno}", module, file)
    if not seen and default:
        cause = f'{file}:1: no class is decorated with @register_{default}("{file.stem}")'
        yield Found(default, file.stem, f"{file}:1", module, file, cause)


def _registration(node: ast.expr) -> tuple[Kind, str] | None:
    """Kind and name of a `@register_method("name")` decorator."""
    if not isinstance(node, ast.Call) or len(node.args) != 1:
        return None
    function, argument = node.func, node.args[0]
    called = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    if not isinstance(argument, ast.Constant) or not isinstance(argument.value, str):
        return None
    for kind in KINDS:
        if called == f"register_{kind}":
            return kind, argument.value
    return None


def _package_of(folder: Path) -> str:
    """A package made of a folder of plugin files, so that siblings import each other relatively."""
    name = f"lampbench_plugins_{digest(str(folder))}"
    if name not in sys.modules:
        package = ModuleType(name)
        package.__path__ = [str(folder)]
        sys.modules[name] = package
    return name


def _load(found: Found) -> Any:
    from lampbench.method import Method
    from lampbench.plugin import MARK
    from lampbench.task import Task

    if found.error:
        raise LampbenchError(f"{found.kind} {found.name!r} is broken: {found.error}")
    try:
        module = importlib.import_module(found.module)
    except Exception as error:  # a plugin may fail in any way; the cause is shown
        raise LampbenchError(
            f"{found.kind} {found.name!r} is broken: {_cause(error, found)}"
        ) from error
    base = Method if found.kind == "method" else Task
    for value in vars(module).values():
        if isinstance(value, type) and vars(value).get(MARK) == (found.kind, found.name):
            if not issubclass(value, base):
                raise LampbenchError(
                    f"{found.kind} {found.name!r} is broken: {found.origin}: "
                    f"{value.__name__} must be a subclass of {base.__name__}"
                )
            _check_declared(found, value)
            return value()
    raise LampbenchError(
        f"{found.kind} {found.name!r} is broken: {found.origin}: importing {found.module} "
        f'registers no {found.kind} of that name; use @register_{found.kind}("{found.name}")'
    )


def _check_declared(found: Found, kind: type) -> None:
    """A task without its attributes would fail far from its file; say so here."""
    from lampbench.task import Task

    if issubclass(kind, Task):
        needed = [n for n in Task.__annotations__ if n != "name" and not hasattr(kind, n)]
        if needed:
            raise LampbenchError(
                f"task {found.name!r} is broken: {found.origin}: set {', '.join(needed)}"
            )


def _cause(error: BaseException, found: Found) -> str:
    """File, line and message of a failed import, as near to the plugin's own text as possible."""
    if isinstance(error, SyntaxError):
        return f"{error.filename}:{error.lineno}: {type(error).__name__}: {error.msg}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if found.file and frame.filename == str(found.file)]
    outside = [frame for frame in frames if "importlib" not in frame.filename]
    frame = (own or outside or list(frames))[-1]
    message = str(error).splitlines()[0] if str(error) else ""
    return f"{frame.filename}:{frame.lineno}: {type(error).__name__}: {message}"
