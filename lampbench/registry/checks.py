"""What is wrong with the class of a plugin, and would otherwise fail far from its file."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from lampbench.registry.locations import Kind, PluginLocation

if TYPE_CHECKING:
    from lampbench.core.task import Task
    from lampbench.engine.engine_plugin import EnginePlugin
    from lampbench.plugin.metric import Metric

_TEXTS = ("title", "family", "target_name", "shorten", "system", "template", "example",
          "between_examples", "after_examples", "profile_request")  # fmt: skip
"""Attributes of a task that are texts."""


def base_of(kind: Kind) -> type:
    """The class of which plugins of a kind are subclasses."""
    from lampbench.core.task import Task
    from lampbench.engine.engine_plugin import EnginePlugin
    from lampbench.plugin.method import Method
    from lampbench.plugin.metric import Metric

    bases: dict[Kind, type] = {
        "method": Method, "task": Task, "metric": Metric, "engine": EnginePlugin,
    }  # fmt: skip
    return bases[kind]


def wrong_with(
    found: PluginLocation, marked: Sequence[type], registered: Sequence[str] = ()
) -> str | None:
    """What is wrong with an importable plugin and would otherwise fail far from its file.

    `marked` are the classes that its module registers under its name, `registered` the names of
    all plugins of its kind there.
    """
    from lampbench.core.task import Task
    from lampbench.engine.engine_plugin import EnginePlugin
    from lampbench.plugin.context import WeightsSource
    from lampbench.plugin.declared_settings import wrong_declaration
    from lampbench.plugin.decoding import Decoding
    from lampbench.plugin.method import Method
    from lampbench.plugin.metric import Metric
    from lampbench.plugin.prompting import Prompting

    if not marked:
        register = f'@register_{found.kind}("{found.name}")'
        told = f"importing {found.module} registers no {found.kind} of that name; use {register}"
        if found.file:
            return told
        others = f", or name the entry point {' or '.join(registered)}" if registered else ""
        return f"the entry point {found.name!r} of lampbench.{found.kind}s: {told}{others}"
    (kind, *_), base = marked, base_of(found.kind)
    if not issubclass(kind, base):
        return f"{kind.__name__} must be a subclass of {base.__name__}"
    if issubclass(kind, Task):
        return _wrong_task(kind)
    if issubclass(kind, Metric):
        return _wrong_metric(kind)
    if issubclass(kind, EnginePlugin):
        return _wrong_engine(kind)
    choices = {"prompting": Prompting, "adaptation": WeightsSource, "decoding": Decoding}
    for name, choice in choices.items():
        value = getattr(kind, name)
        if not isinstance(value, choice) and (name, value) != ("adaptation", None):
            return f"{name} must be an instance of a {choice.__name__}, not {value!r}"
    return wrong_declaration(kind) if issubclass(kind, Method) else None


def _wrong_task(kind: type["Task"]) -> str | None:
    from lampbench.core.task import Task

    if unset := [n for n in Task.__annotations__ if n != "name" and not hasattr(kind, n)]:
        words = ['system (system = "" for none)' if n == "system" else n for n in unset]
        return f"set {', '.join(words)}"
    for name in _TEXTS:
        if not isinstance(value := getattr(kind, name), str):
            none = ' ("" for none)' if name == "system" else ""
            return f"{name} must be a text{none}, not {value!r}"
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
    for name in ("low", "high"):
        value = getattr(kind, name)
        if not _is_number(value) and (name, value) != ("high", None):
            none = ", or None where there is no upper end" if name == "high" else ""
            return f"{name} must be a number{none}, not {value!r}"
    if not _is_range(kind.summary_range):
        return (
            "summary_range must be the lowest and the highest number, each None for no end, such "
            f"as (0.0, None), not {kind.summary_range!r}"
        )
    if kind.name in ("user", "query"):
        return f"{kind.name} cannot be a metric's name: every score table has a column of that name"
    return None


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and value == value  # NaN is not


def _is_range(value: object) -> bool:
    if not isinstance(value, tuple) or len(value) != 2:
        return False
    return all(one is None or _is_number(one) for one in value)


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
