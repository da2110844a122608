"""The plugin that is checked: found by name or given as a class, and put into a method to be run.

`KINDS_OF_PLUGINS` has one row per kind. A part (a decoding, a retriever) is tried inside a method
that consists of it and of nothing else.
"""

import ast
import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from lampbench.contract.fresh_copy import fresh_copy, source_of
from lampbench.plugin.declared_settings import wrong_declaration
from lampbench.plugin.hyperparameter import Part
from lampbench.plugin.method import Method
from lampbench.registry import Registry, plugin_modules
from lampbench.util.errors import LampbenchError, suggestion


@dataclass(frozen=True, slots=True)
class Subject:
    """A plugin under examination: its class, and how a method is made of it."""

    kind: str
    name: str
    found: type
    plugins: tuple[str, ...] = ()
    by_name: bool = True

    @property
    def place(self) -> str:
        """File and line of the class."""
        return place_of(self.found)

    def method(self, found: type | None = None) -> Method:
        """A method of the class, or of a copy of it."""
        made = found or self.found
        if issubclass(made, Method):
            return made()
        return method_with(self.kind, made)

    def fresh(self, change: Callable[[ast.Module], ast.Module] | None = None) -> Method:
        """A method of the class made again from its file, without memory of earlier runs."""
        return self.method(fresh_copy(self.found, change))


def place_of(kind: type) -> str:
    """File and line of a class; its module's name if it has no file."""
    file = source_of(kind)
    if file is None:
        return f"{kind.__module__}.{kind.__qualname__}"
    names = {kind.__qualname__.rpartition(".")[2]}
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.ClassDef) and node.name in names:
            return f"{file}:{node.lineno}"
    return f"{file}:1"


@dataclass(frozen=True, slots=True)
class PartKind:
    """A kind of part: its base class, and the attributes of a method that consists of it."""

    base: Callable[[], type[Part]]
    attributes: Callable[[Part], Mapping[str, Any]]


def _decoding() -> type[Part]:
    from lampbench.plugin.decoding import Decoding

    return Decoding


def _prompting() -> type[Part]:
    from lampbench.plugin.prompting import Prompting

    return Prompting


def _retriever() -> type[Part]:
    from lampbench.plugin.retrieval import Retriever

    return Retriever


def _criterion() -> type[Part]:
    from lampbench.plugin.reranking import Criterion

    return Criterion


def _quoting(retriever: Any) -> dict[str, Part]:
    from lampbench.plugin.prompting import RetrievalAugmented

    return {"prompting": RetrievalAugmented(retriever=retriever)}


def _choosing(criterion: Any) -> dict[str, Part]:
    from lampbench.plugin.reranking import Reranked, Sampled

    return {"decoding": Reranked(Sampled(n=_CANDIDATES), by=criterion)}


_CANDIDATES = 4
"""Answers among which a criterion chooses: enough that most settings choose another one."""

PART_KINDS: Mapping[str, PartKind] = {
    "decoding": PartKind(_decoding, lambda part: {"decoding": part}),
    "prompting": PartKind(_prompting, lambda part: {"prompting": part}),
    "retriever": PartKind(_retriever, _quoting),
    "criterion": PartKind(_criterion, _choosing),
}
KINDS_OF_PLUGINS = ("method", "task", "metric", *PART_KINDS)


def find_subject(kind: str, wanted: str | type, plugins: Sequence[str] = ()) -> Subject:
    """The plugin of a name, or of a class.

    Raises:
        LampbenchError: there is no such kind or plugin, or its file is broken.
    """
    if kind not in KINDS_OF_PLUGINS:
        raise LampbenchError(
            f"no kind of plugin is called {kind!r}: {suggestion(kind, PART_KINDS)}"
        )
    paths = tuple(Path(path) for path in plugins)
    if kind in PART_KINDS:
        found = wanted if isinstance(wanted, type) else _part(kind, wanted, paths)
        name = found.__name__
    else:
        registry = Registry(paths)
        made = {"method": registry.method, "task": registry.task, "metric": registry.metric}
        found = type(made[kind](wanted))
        name = str(found.name)  # type: ignore[attr-defined]
    return Subject(kind, name, found, tuple(plugins), isinstance(wanted, str))


def method_with(kind: str, found: type) -> Method:
    """A method that consists of a part of that class and of nothing else.

    Raises:
        LampbenchError: the class cannot be instantiated without arguments, or declares settings
            that would never be set.
    """
    try:
        part = found()
    except TypeError as error:
        raise LampbenchError(
            f"{place_of(found)}: {found.__name__}() cannot be made without arguments ({error}); "
            "give its fields defaults, or check a method that uses it"
        ) from error
    name = f"trial_{kind}"
    held = {"name": name, "title": name, "__module__": __name__}
    attributes = {**held, **PART_KINDS[kind].attributes(part)}
    made: type[Method] = type("TrialMethod", (Method,), attributes)
    if wrong := wrong_declaration(made):
        raise LampbenchError(f"{place_of(found)}: {wrong}")
    return made()


def _part(kind: str, name: str, plugins: Sequence[Path]) -> type[Part]:
    base = PART_KINDS[kind].base()
    known: dict[str, type[Part]] = {}
    offered = importlib.import_module("lampbench.plugin")
    for module in (offered, *plugin_modules(plugins)):
        for found in _classes(module, base):
            known[found.__name__] = found
            known.setdefault(str(vars(found).get("name", found.__name__)), found)
    if name not in known:
        elsewhere = "" if plugins else "; if it is in a file of yours, give --plugins FILE"
        raise LampbenchError(f"no {kind} is called {name!r}: {suggestion(name, known)}{elsewhere}")
    return known[name]


def _classes(module: ModuleType, base: type[Part]) -> list[type[Part]]:
    return [
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, base) and value is not base
    ]
