"""What `list` and `show` say of a plugin: the keys of `--format json`, and texts for tables."""

from collections.abc import Callable, Mapping
from operator import attrgetter
from typing import TYPE_CHECKING, Any

from lampbench.engine.capability import Capability

if TYPE_CHECKING:
    from lampbench.plugin.hyperparameter import Part
    from lampbench.registry import Kind, ListedPlugin

CHOICES = ("prompting", "adaptation", "decoding")


def first_line(plugin: Any) -> str:
    """The first line of a plugin's docstring."""
    return (type(plugin).__doc__ or "").strip().partition("\n")[0]


def expression(part: "Part | None") -> str:
    """A part and the parts inside it, as one expression."""
    from lampbench.plugin.hyperparameter import child_parts

    if part is None:
        return "none"
    inside = ", ".join(f"{name}={expression(child)}" for name, child in child_parts(part))
    return f"{type(part).__name__}({inside})"


def reads(metric: Any) -> list[str]:
    """What a metric needs besides the answer."""
    named = {
        "reference": metric.compares,
        "history": metric.reads_history,
        "choices": metric.reads_choices,
    }
    return [name for name, needed in named.items() if needed]


def engine_arguments(engine: Any) -> list[dict[str, Any]]:
    """An engine's arguments: name, type, default, and whether it is part of keys."""
    return [
        {"name": one.name, "type": one.kind.__name__, "default": one.default, "keyed": one.keyed,
         "choices": list(one.choices), "help": one.help}
        for one in engine.arguments
    ]  # fmt: skip


def choices(method: Any) -> dict[str, str]:
    """A method's three choices as expressions."""
    return {name: expression(getattr(method, name)) for name in CHOICES}


def _expression_of(choice: str) -> Callable[[Any], str]:
    return lambda method: choices(method)[choice]


_FACTS: Mapping["Kind", Mapping[str, Callable[[Any], Any]]] = {
    "method": {name: _expression_of(name) for name in CHOICES},
    "task": {"family": attrgetter("family")},
    "metric": {
        "low": attrgetter("low"),
        "high": attrgetter("high"),
        "better": attrgetter("better"),
        "reads": reads,
        "missing": lambda metric: metric.missing(),
    },
    "engine": {
        "summary": attrgetter("summary"),
        "capabilities": lambda engine: [
            each.name.lower() for each in Capability if each in engine.capabilities
        ],
        "batch_invariant": attrgetter("batch_invariant"),
        "reads_model_files": attrgetter("reads_model_files"),
        "arguments": engine_arguments,
        "missing": lambda engine: list(engine.missing()),
    },
}


def plugin_record(kind: "Kind", row: "ListedPlugin") -> dict[str, Any]:
    """A plugin as programs read it; a broken one has an `error` and None for the rest."""
    sound = row.plugin is not None
    return {
        "name": row.name,
        "title": (getattr(row.plugin, "title", "") or row.name) if sound else None,
        "description": first_line(row.plugin) if sound else None,
        **{key: fact(row.plugin) if sound else None for key, fact in _FACTS[kind].items()},
        "builtin": type(row.plugin).__module__.startswith("lampbench.") if sound else None,
        "origin": row.origin,
        "error": row.error,
    }
