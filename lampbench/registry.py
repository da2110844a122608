"""Finding plugins: built-in files, entry points of installed packages, and `--plugins` paths.

Files are scanned, not imported: the names that a file registers are read from its decorators, so
that only the plugin asked for is ever imported, and a broken one does not stop the others.
"""

import ast
import difflib
import importlib
import importlib.metadata
import importlib.util
import os
import re
import sys
import traceback
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal

from lampbench.core.registration import MARK, mark
from lampbench.util.errors import LampbenchError, suggestion
from lampbench.util.hashing import digest

if TYPE_CHECKING:
    from lampbench.core.task import Task
    from lampbench.engine.engine_plugin import EnginePlugin
    from lampbench.plugin.method import Method
    from lampbench.plugin.metric import Metric

Kind = Literal["method", "task", "metric", "engine"]
KINDS: tuple[Kind, ...] = ("method", "task", "metric", "engine")


@dataclass(frozen=True, slots=True)
class PluginLocation:
    """A plugin that was found: its name, its file and line, and how to import it.

    `error` says why the file could not even be scanned.
    """

    kind: Kind
    name: str
    origin: str
    module: str
    file: Path | None = None
    error: str | None = None


@dataclass(frozen=True, slots=True)
class ListedPlugin:
    """A line of `lampbench list`: the loaded plugin, or what is wrong with it."""

    name: str
    origin: str
    plugin: Any
    error: str | None


class Registry:
    """Methods, tasks, metrics and engines by name. Nothing is scanned before the first question.

    `plugins` are files or folders named by the user; a missing one is an error at once.
    """

    def __init__(self, plugins: Sequence[Path] = ()) -> None:
        self._plugins = tuple(plugins)
        self._found: dict[Kind, list[PluginLocation]] | None = None
        for path in self._plugins:
            if not path.exists():
                raise LampbenchError(
                    f"{path}: no such plugin file or folder (--plugins, LAMPBENCH_PLUGINS)"
                    f"{_nearest(path)}"
                )

    def method(self, wanted: "str | type[Method] | Method") -> "Method":
        """An instance of the method called `wanted`, or of an unregistered class.

        Raises:
            LampbenchError: no such method, two of that name, or its file is broken.
        """
        method: Method = self._find("method", wanted)
        return method

    def task(self, wanted: "str | type[Task] | Task") -> "Task":
        """An instance of the task called `wanted`; as `method`."""
        task: Task = self._find("task", wanted)
        return task

    def metric(self, wanted: "str | type[Metric] | Metric") -> "Metric":
        """An instance of the metric called `wanted`; as `method`."""
        metric: Metric = self._find("metric", wanted)
        return metric

    def engine(self, wanted: "str | type[EnginePlugin] | EnginePlugin") -> "EnginePlugin":
        """An instance of the engine called `wanted`, which opens nothing yet; as `method`."""
        engine: EnginePlugin = self._find("engine", wanted)
        return engine

    def names(self, kind: Kind) -> list[str]:
        """The names that can be asked for, sorted; nothing is imported."""
        return sorted({found.name for found in self._all(kind) if not found.error})

    def rows(self, kind: Kind) -> list[ListedPlugin]:
        """Every plugin of a kind, imported, broken ones with their cause."""
        rows = []
        for found in sorted(self._all(kind), key=lambda found: (found.name, found.origin)):
            try:
                plugin, error = self._get(kind, found.name), None
            except LampbenchError as problem:
                plugin, error = None, str(problem)
            rows.append(ListedPlugin(found.name, found.origin, plugin, error))
        return rows

    def _find(self, kind: Kind, wanted: Any) -> Any:
        return self._get(kind, wanted) if isinstance(wanted, str) else self._adopt(kind, wanted)

    def _adopt(self, kind: Kind, wanted: Any) -> Any:
        """A class, or an instance of one, that was made somewhere else, such as a notebook."""
        made = wanted if isinstance(wanted, type) else type(wanted)
        origin = f"{made.__module__}.{made.__qualname__}"
        if not issubclass(made, _base(kind)):
            raise LampbenchError(f"{origin} must be a subclass of {_base(kind).__name__}")
        if MARK not in vars(made):
            mark(made, kind, vars(made).get("name") or _snake_case(made.__name__))
        name = str(vars(made)["name"])
        found = PluginLocation(kind, name, origin, made.__module__)
        if wrong := _wrong(found, [made]):
            raise LampbenchError(f"{kind} {name!r} is broken: {origin}: {wrong}")
        if name in self.names(kind) and type(self._get(kind, name)) is not made:
            raise LampbenchError(
                f"{origin}: a {kind} called {name!r} is registered already; set another `name` on "
                "the class"
            )
        return made() if isinstance(wanted, type) else wanted

    def _all(self, kind: Kind) -> list[PluginLocation]:
        if self._found is None:
            everything = [*_builtins(), *_entry_points(), *_explicit(self._plugins)]
            once: dict[tuple[Kind, str, str], PluginLocation] = {}
            for found in everything:
                once.setdefault((found.kind, found.name, found.origin), found)
            self._found = {k: [f for f in once.values() if f.kind == k] for k in KINDS}
        return self._found[kind]

    def _get(self, kind: Kind, name: str) -> Any:
        matches = [found for found in self._all(kind) if found.name == name]
        if not matches:
            hint = suggestion(name, self.names(kind))
            elsewhere = "; if it is in a file of yours, give --plugins FILE"
            unread = [f"; {found.error}" for found in self._all(kind) if found.error]
            more = "".join(unread) or ("" if self._plugins else elsewhere)
            raise LampbenchError(f"no {kind} is called {name!r}: {hint}{more}")
        if len(matches) > 1:
            places = " and in ".join(found.origin for found in matches)
            raise LampbenchError(f"{kind} {name!r} is registered twice, in {places}: rename one")
        return _load(matches[0])


def plugin_modules(paths: Sequence[Path]) -> Iterator[ModuleType]:
    """The imported modules of files and folders of plugins.

    Raises:
        LampbenchError: a file is broken.
    """
    for path in paths:
        for file in sorted(path.glob("[!_]*.py")) if path.is_dir() else [path]:
            found = PluginLocation("method", file.stem, str(file), "", file.resolve())
            try:
                yield importlib.import_module(f"{_package_of(file.resolve().parent)}.{file.stem}")
            except (Exception, SystemExit) as error:  # a plugin may fail in any way
                raise LampbenchError(f"{_cause(error, found)}") from error


def plugin_paths(given: Sequence[str]) -> list[Path]:
    """The `--plugins` values, then those of LAMPBENCH_PLUGINS (separated as in PATH)."""
    listed = os.environ.get("LAMPBENCH_PLUGINS", "").split(os.pathsep)
    return [Path(text) for text in (*given, *listed) if text]


def _nearest(path: Path) -> str:
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
            module = f"{_package_of(file.parent)}.{file.stem}"
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
    for node in ast.walk(tree):
        for decorator in node.decorator_list if isinstance(node, ast.ClassDef) else ():
            if marked := _registration(decorator):
                seen = True
                kind, name = marked
                yield PluginLocation(kind, name, f"{file}:{decorator.lineno}", module, file)
    for kind in () if seen else expected:
        cause = f'{file}:1: no class is decorated with @register_{kind}("{file.stem}")'
        yield PluginLocation(kind, file.stem, f"{file}:1", module, file, cause)


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


def _snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def _package_of(folder: Path) -> str:
    """A package made from a folder of plugin files, so that they can import each other."""
    name = f"lampbench_plugins_{digest(str(folder))}"
    if name not in sys.modules:
        package = ModuleType(name)
        package.__path__ = [str(folder)]
        sys.modules[name] = package
    return name


def _load(found: PluginLocation) -> Any:
    """An instance of a plugin, or an error that says where and why it is broken."""
    broken = f"{found.kind} {found.name!r} is broken: "
    if found.error:
        raise LampbenchError(broken + found.error)
    try:
        module = importlib.import_module(found.module)
        marked = [
            value
            for value in vars(module).values()
            if isinstance(value, type) and vars(value).get(MARK) == (found.kind, found.name)
        ]
        wrong = _wrong(found, marked)
        if not wrong:
            return marked[0]()
    except (Exception, SystemExit) as error:  # a plugin may fail in any way; the cause is shown
        raise LampbenchError(broken + _cause(error, found)) from error
    raise LampbenchError(f"{broken}{found.origin}: {wrong}")


def _base(kind: Kind) -> type:
    from lampbench.core.task import Task
    from lampbench.engine.engine_plugin import EnginePlugin
    from lampbench.plugin.method import Method
    from lampbench.plugin.metric import Metric

    bases: dict[Kind, type] = {
        "method": Method, "task": Task, "metric": Metric, "engine": EnginePlugin,
    }  # fmt: skip
    return bases[kind]


def _wrong(found: PluginLocation, marked: Sequence[type]) -> str | None:
    """What is wrong with an importable plugin and would otherwise fail far from its file."""
    from lampbench.core.task import Task
    from lampbench.engine.engine_plugin import EnginePlugin
    from lampbench.plugin.context import WeightsSource
    from lampbench.plugin.decoding import Decoding
    from lampbench.plugin.metric import Metric
    from lampbench.plugin.prompting import Prompting

    if not marked:
        register = f'@register_{found.kind}("{found.name}")'
        return f"importing {found.module} registers no {found.kind} of that name; use {register}"
    (kind, *_), base = marked, _base(found.kind)
    if not issubclass(kind, base):
        return f"{kind.__name__} must be a subclass of {base.__name__}"
    if issubclass(kind, Task):
        unset = [n for n in Task.__annotations__ if n != "name" and not hasattr(kind, n)]
        return f"set {', '.join(unset)}" if unset else _wrong_task(kind)
    if issubclass(kind, Metric):
        return _wrong_metric(kind)
    if issubclass(kind, EnginePlugin):
        return _wrong_engine(kind)
    choices = {"prompting": Prompting, "adaptation": WeightsSource, "decoding": Decoding}
    for name, choice in choices.items():
        value = getattr(kind, name)
        if not isinstance(value, choice) and (name, value) != ("adaptation", None):
            return f"{name} must be an instance of a {choice.__name__}, not {value!r}"
    return None


def _wrong_task(kind: type["Task"]) -> str | None:
    for name in ("fields", "optional", "record_fields", "compared", "indexed", "choices",
                 "metrics"):  # fmt: skip
        value = getattr(kind, name)
        if value is not None and not (
            isinstance(value, tuple) and all(isinstance(one, str) for one in value)
        ):
            return f'{name} must be a tuple of texts, such as ("text",), not {value!r}'
    known = {*kind.fields, *kind.optional, *(kind.record_fields or ()), "target"}
    for name in (*(kind.compared or ()), *(kind.indexed or ())):
        if name not in known:
            return f"compared and indexed name fields, and {name!r} is none of the task's"
    if len(set(kind.choices)) < len(kind.choices):
        return f"choices must differ from each other, and {kind.choices!r} do not"
    return None


def _wrong_metric(kind: type["Metric"]) -> str | None:
    from lampbench.plugin.metric import Metric

    if not isinstance(getattr(kind, "title", None), str):
        return "set title"
    if kind.score is Metric.score and kind.scores is Metric.scores:
        return "override score(answer)"
    if kind.better not in ("higher", "lower", "neither"):
        return f"better must be higher, lower or neither, not {kind.better!r}"
    if kind.name in ("user", "query"):
        return f"{kind.name} cannot be a metric's name: every score table has a column of that name"
    return None


def _wrong_engine(kind: type["EnginePlugin"]) -> str | None:
    from lampbench.engine.capability import Capability

    if not isinstance(getattr(kind, "summary", None), str):
        return "set summary"
    declared = getattr(kind, "capabilities", None)
    if not isinstance(declared, frozenset) or not all(isinstance(c, Capability) for c in declared):
        return "capabilities must be a frozenset of Capability, such as {Capability.GENERATE}"
    if unset := sorted(kind.__abstractmethods__):
        return f"implement {', '.join(unset)}"
    return None


def _cause(error: BaseException, found: PluginLocation) -> str:
    """File, line and message of a failed import, in the plugin's own file where possible."""
    if isinstance(error, SyntaxError):
        return f"{error.filename}:{error.lineno}: {type(error).__name__}: {error.msg}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if found.file and frame.filename == str(found.file)]
    ours = (__file__, importlib.__file__)
    outside = [f for f in frames if f.filename not in ours and "importlib" not in f.filename]
    place = (own or outside)[-1:]
    where = f"{place[0].filename}:{place[0].lineno}" if place else found.origin
    message = str(error).partition("\n")[0]
    return f"{where}: {type(error).__name__}: {message}"
