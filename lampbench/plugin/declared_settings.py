"""Hyper-parameters, and values of them, that are written where they have no effect."""

import dataclasses
from collections.abc import Mapping, ValuesView
from types import MemberDescriptorType
from typing import Any

from lampbench.plugin.hyperparameter import UNSET, Part, child_parts
from lampbench.plugin.method import Method

_DECORATE = "put @dataclass(frozen=True) above the class"


def wrong_declaration(method: type[Method]) -> str | None:
    """What is wrong with how a method and its parts declare hyper-parameters, or None.

    Such a hyper-parameter would never get a value: `hyper` in a method, whose settings are those
    of its parts; in a class that is no dataclass; in a part without a section. And such a value
    would never be used: one in a subclass of a part that `dataclass` does not read as the field's.
    Of parts in a tuple, list or mapping none is set that has no value there.
    """
    if names := [*_unread(method), *_declared(method)]:
        return (
            f"{method.__name__}.{names[0]} is a hyper() of the method itself, which is never set; "
            "declare it in a part (docs/plugins/predict.md#hyper-parameters-of-a-predict)"
        )
    for name, value in _attributes(method):
        if (inner := _set_by_nobody(value)) is not None:
            return _told_of_inner(f"{method.__name__}.{name}", inner)
    waiting = [value for _, value in _attributes(method) if isinstance(value, Part)]
    while waiting:
        part = waiting.pop()
        kind = type(part)
        if not dataclasses.is_dataclass(kind):
            return f"the part {kind.__name__} is no dataclass; {_DECORATE}"
        if names := _unread(kind):
            return f"the field {kind.__name__}.{names[0]} is never set; {_DECORATE}"
        if names := _unused(kind):
            return (
                f"the value {kind.__name__}.{names[0]} is never used, because it is no field; "
                f"write {names[0]}: TYPE = VALUE, and {_DECORATE}"
            )
        if _declared(kind) and not hasattr(kind, "section"):
            return (
                f"the part {kind.__name__} has hyper-parameters and no section; set section = "
                '"NAME", the first half of their names'
            )
        for field in dataclasses.fields(kind):
            if (inner := _set_by_nobody(getattr(part, field.name))) is not None:
                return _told_of_inner(f"{kind.__name__}.{field.name}", inner)
        waiting += [child for _, child in child_parts(part)]
    return None


def _set_by_nobody(value: Any) -> Part | None:
    """A part without a value of a hyper-parameter, of its own or of a part inside it, that a value
    holds among others.
    """
    held = value.values() if isinstance(value, Mapping) else value
    if not isinstance(held, tuple | list | set | frozenset | ValuesView):
        return None
    for one in held:
        if isinstance(one, Part):
            if _waits_for_a_value(one):
                return one
        elif (inner := _set_by_nobody(one)) is not None:
            return inner
    return None


def _waits_for_a_value(part: Part) -> bool:
    if any(getattr(part, name) is UNSET for name in _declared(type(part))):
        return True
    if not dataclasses.is_dataclass(part):
        return False
    return any(_waits_for_a_value(child) for _, child in child_parts(part))


def _told_of_inner(where: str, inner: Part) -> str:
    return (
        f"{where} holds the part {type(inner).__name__} among others, and nobody sets its "
        "hyper-parameters; give each part a field of its own"
    )


def _unread(kind: type) -> list[str]:
    """Names of fields that `dataclass` has not read: it puts the default in their place."""
    return [name for name, value in _attributes(kind) if isinstance(value, dataclasses.Field)]


def _unused(kind: type) -> list[str]:
    """Names of fields to which a subclass gives a value that is not the field's default."""
    found = []
    for field in dataclasses.fields(kind):
        has_default = field.default_factory is not dataclasses.MISSING
        has_default |= field.default is not dataclasses.MISSING
        first = next((vars(one)[field.name] for one in kind.__mro__ if field.name in vars(one)),
                     field.default)  # fmt: skip
        own = first is not field.default and not isinstance(first, MemberDescriptorType)
        if has_default and own:
            found.append(field.name)
    return found


def _attributes(kind: type) -> list[tuple[str, Any]]:
    return [item for base in kind.__mro__ for item in vars(base).items()]


def _declared(kind: type) -> list[str]:
    """Names of the hyper-parameters of a dataclass."""
    if not dataclasses.is_dataclass(kind):
        return []
    return [field.name for field in dataclasses.fields(kind) if "hyper" in field.metadata]
