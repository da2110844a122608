"""Methods, tasks, metrics and engines by name."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from lampbench.core.registration import MARK, mark
from lampbench.registry.checks import base_of, wrong_with
from lampbench.registry.loading import load, plugin_modules
from lampbench.registry.locations import (
    KINDS,
    Kind,
    PluginLocation,
    found_plugins,
    nearest_plugin,
    plugin_paths,
)
from lampbench.util.errors import LampbenchError, suggestion

if TYPE_CHECKING:
    from lampbench.core.task import Task
    from lampbench.engine.engine_plugin import EnginePlugin
    from lampbench.plugin.method import Method
    from lampbench.plugin.metric import Metric

__all__ = ["KINDS", "Kind", "ListedPlugin", "Registry", "plugin_modules", "plugin_paths"]


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
                    f"{nearest_plugin(path)}"
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
        if not issubclass(made, base_of(kind)):
            raise LampbenchError(f"{origin} must be a subclass of {base_of(kind).__name__}")
        if MARK not in vars(made):
            mark(made, kind, vars(made).get("name") or _snake_case(made.__name__))
        name = str(vars(made)["name"])
        found = PluginLocation(kind, name, origin, made.__module__)
        if wrong := wrong_with(found, [made]):
            raise LampbenchError(f"{kind} {name!r} is broken: {origin}: {wrong}")
        if name in self.names(kind) and type(self._get(kind, name)) is not made:
            raise LampbenchError(
                f"{origin}: a {kind} called {name!r} is registered already; set another `name` on "
                "the class"
            )
        return made() if isinstance(wanted, type) else wanted

    def _all(self, kind: Kind) -> list[PluginLocation]:
        if self._found is None:
            everything = found_plugins(self._plugins)
            self._found = {k: [f for f in everything if f.kind == k] for k in KINDS}
        return self._found[kind]

    def _get(self, kind: Kind, name: str) -> Any:
        matches = [found for found in self._all(kind) if found.name == name]
        if not matches:
            of_class = [found.name for found in self._all(kind) if found.class_name == name]
            names = self.names(kind)
            hint = f"did you mean {of_class[0]}?" if of_class else suggestion(name, names)
            elsewhere = "; if it is in a file of yours, give --plugins FILE"
            unread = [f"; {found.error}" for found in self._all(kind) if found.error]
            more = "".join(unread) or ("" if self._plugins or of_class else elsewhere)
            raise LampbenchError(f"no {kind} is called {name!r}: {hint}{more}")
        if len(matches) > 1:
            places = " and in ".join(found.origin for found in matches)
            raise LampbenchError(f"{kind} {name!r} is registered twice, in {places}: rename one")
        return load(matches[0])


def _snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
