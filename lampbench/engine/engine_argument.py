"""Arguments of an engine: declared by its plugin, given as text or in a configuration file."""

import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from lampbench.util.errors import LampbenchError, suggestion
from lampbench.util.key_values import parse_key_values

_TRUTHS = {"true": True, "false": False}


@dataclass(frozen=True, slots=True)
class EngineArgument:
    """One argument of an engine.

    `kind` is str, int, float or bool. `default` None means that it is not given. An argument that
    is `keyed` may change an answer and goes into keys; one that only says where or how fast the
    engine runs (an address, a number of processes) is not. `choices` are the allowed values, ()
    where any is; `low` is the least allowed number.
    """

    name: str
    kind: type
    help: str
    default: Any = None
    keyed: bool = True
    choices: tuple[str, ...] = ()
    low: float | None = None


def parse_engine_arguments(texts: Sequence[str]) -> dict[str, str]:
    """KEY=VALUE or ENGINE.KEY=VALUE texts as a mapping.

    Raises:
        LampbenchError: a text has another form, or a key is given twice with different values.
    """
    return parse_key_values("--engine-arg", texts, "max_loras=8")


def engine_arguments(
    engine: str, declared: Sequence[EngineArgument], given: Mapping[str, Any]
) -> dict[str, Any]:
    """Every declared argument by name: as given, of its type, or its default.

    Raises:
        LampbenchError: the engine has no such argument, or a value is not valid.
    """
    known = {each.name: each for each in declared}
    for name in given:
        if name not in known:
            there = suggestion(name, known) if known else "it has none"
            raise LampbenchError(
                f"engine {engine} has no argument {name!r} (--engine-arg): {there}"
            )
    return {
        name: _checked(engine, each, given[name]) if name in given else each.default
        for name, each in known.items()
    }


def keyed_values(declared: Sequence[EngineArgument], values: Mapping[str, Any]) -> dict[str, str]:
    """What may change an answer of an engine's arguments, by name; None counts as not given."""
    keyed = {each.name: values.get(each.name) for each in declared if each.keyed}
    return {name: str(value) for name, value in keyed.items() if value is not None}


def _checked(engine: str, declared: EngineArgument, value: Any) -> Any:
    where = f"--engine-arg {declared.name}={value} of engine {engine}"
    found = _converted(declared.kind, value)
    if found is None or found != found or found in (float("inf"), -float("inf")):
        kinds = {int: "a whole number", float: "a number", bool: "true or false"}
        raise LampbenchError(f"{where}: give {kinds.get(declared.kind, 'a text')}")
    if declared.choices and found not in declared.choices:
        raise LampbenchError(f"{where}: choose one of {', '.join(declared.choices)}")
    if declared.low is not None and found < declared.low:
        raise LampbenchError(f"{where}: give at least {declared.low:g}")
    return found


def _converted(kind: type, value: Any) -> Any:
    """The value as one of the type, or None; text stands for other types, as in a shell."""
    if kind is bool:
        return value if isinstance(value, bool) else _TRUTHS.get(str(value).lower())
    if isinstance(value, bool):
        return None
    if kind is str:
        return value if isinstance(value, str) and value else None
    try:
        if isinstance(value, str):
            return kind(value)
        return operator.index(value) if kind is int else float(value)
    except (TypeError, ValueError, OverflowError):
        return None
