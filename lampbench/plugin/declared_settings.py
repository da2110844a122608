"""Hyper-parameters that are declared where they have no effect."""

import dataclasses
from typing import Any

from lampbench.plugin.hyperparameter import Part, child_parts
from lampbench.plugin.method import Method

_DECORATE = "put @dataclass(frozen=True) above the class"


def wrong_declaration(method: type[Method]) -> str | None:
    """What is wrong with how a method and its parts declare hyper-parameters, or None.

    Such a hyper-parameter would never get a value: `hyper` in a method, whose settings are those
    of its parts; in a class that is no dataclass; in a part without a section.
    """
    if names := [*_unread(method), *_declared(method)]:
        return (
            f"{method.__name__}.{names[0]} is a hyper() of the method itself, which is never set; "
            "declare it in a part (docs/plugins/predict.md#hyper-parameters-of-a-predict)"
        )
    waiting = [value for _, value in _attributes(method) if isinstance(value, Part)]
    while waiting:
        part = waiting.pop()
        kind = type(part)
        if not dataclasses.is_dataclass(kind):
            return f"the part {kind.__name__} is no dataclass; {_DECORATE}"
        if names := _unread(kind):
            return f"the field {kind.__name__}.{names[0]} is never set; {_DECORATE}"
        if _declared(kind) and not hasattr(kind, "section"):
            return (
                f"the part {kind.__name__} has hyper-parameters and no section; set section = "
                '"NAME", the first half of their names'
            )
        waiting += [child for _, child in child_parts(part)]
    return None


def _unread(kind: type) -> list[str]:
    """Names of fields that `dataclass` has not read: it puts the default in their place."""
    return [name for name, value in _attributes(kind) if isinstance(value, dataclasses.Field)]


def _attributes(kind: type) -> list[tuple[str, Any]]:
    return [item for base in kind.__mro__ for item in vars(base).items()]


def _declared(kind: type) -> list[str]:
    """Names of the hyper-parameters of a dataclass."""
    if not dataclasses.is_dataclass(kind):
        return []
    return [field.name for field in dataclasses.fields(kind) if "hyper" in field.metadata]
