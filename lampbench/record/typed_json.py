"""Dataclasses from JSON values, checked field by field.

A dataclass's annotations are its schema: str, int, float, bool, None, `Any`, `Mapping[str, X]`,
`tuple[X, ...]`, unions with None, and other dataclasses. A field with a default may be absent; a
name that is no field is refused.
"""

import dataclasses
import json
import math
from collections.abc import Callable, Mapping
from functools import cache
from types import NoneType, UnionType
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")
_Reader = Callable[[Any], Any]
_LARGEST = 2**63  # integers that other languages can read too
_DEEPEST, _LONGEST = 8, 40  # names, and characters of each, that a message shows
_NAMES = {
    str: "text",
    int: "an integer",
    float: "a number",
    bool: "true or false",
    dict: "an object",
    list: "a list",
    NoneType: "null",
}


class Mismatch(ValueError):
    """A value is not what the dataclass says; `path` leads to it, outermost name first."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.path: list[str] = []

    def __str__(self) -> str:
        path = ".".join(map(_cut, self.path[:_DEEPEST]))
        return " ".join(filter(None, [path, str(self.args[0])]))


def from_json(kind: type[T], value: Any) -> T:
    """A dataclass from the value that `json.loads` gives.

    Raises:
        Mismatch: a field is missing, unknown or of another type, a number is not finite or has
            more than 63 bits, or values are nested too deeply.
    """
    try:
        made: T = _reader(kind)(value)  # type: ignore[arg-type]
    except RecursionError as error:
        raise Mismatch("is nested too deeply") from error
    return made


def loads(text: bytes | str) -> Any:
    """The value of a JSON text.

    Raises:
        ValueError: it is none, holds a number that is not finite, or is nested too deeply.
    """
    try:
        return json.loads(text, parse_constant=_not_finite)
    except RecursionError as error:
        raise ValueError("not JSON (nested too deeply)") from error
    except ValueError as error:
        raise ValueError(f"not JSON ({error})") from error


def brief(value: Any) -> str:
    """A value as a message shows it: one line, however long the value is."""
    return _cut(repr(value)) if isinstance(value, str) else _NAMES.get(type(value), "no JSON value")


def frozen(value: Any) -> Any:
    """A JSON value with tuples in place of lists, equal to what was written from tuples."""
    if isinstance(value, list | tuple):
        return tuple(map(frozen, value))
    if isinstance(value, dict):
        return {name: frozen(inside) for name, inside in value.items()}
    if isinstance(value, int | float):
        _check_number(value)
    return value


@cache
def _reader(kind: Any) -> _Reader:
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return frozen
    if origin in (Union, UnionType):
        return _optional(arguments)
    if origin is tuple:
        return _list(_reader(arguments[0]))
    if origin is not None and issubclass(origin, Mapping):
        return _mapping(_reader(arguments[1]))
    if dataclasses.is_dataclass(kind):
        return _fields(kind)  # type: ignore[arg-type]
    return _scalar(kind)


def _scalar(kind: type) -> _Reader:
    def read(value: Any) -> Any:
        number = type(value) in (int, float)
        if number and kind in (float, type(value)):
            _check_number(value)
            return kind(value)
        if type(value) is kind and not number:
            return value
        raise _wrong(_NAMES[kind], value)

    return read


def _optional(kinds: tuple[Any, ...]) -> _Reader:
    (inner,) = (_reader(kind) for kind in kinds if kind is not NoneType)

    def read(value: Any) -> Any:
        return None if value is None else inner(value)

    return read


def _list(inner: _Reader) -> _Reader:
    def read(value: Any) -> Any:
        if type(value) is not list:
            raise _wrong("a list", value)
        made: list[Any] = []
        try:
            made.extend(map(inner, value))
        except Mismatch as error:
            error.path.insert(0, str(len(made)))
            raise
        return tuple(made)

    return read


def _mapping(inner: _Reader) -> _Reader:
    def read(value: Any) -> Any:
        if type(value) is not dict:
            raise _wrong("an object", value)
        name = ""
        made = {}
        try:
            for name, one in value.items():
                made[name] = inner(one)
        except Mismatch as error:
            error.path.insert(0, name)
            raise
        return made

    return read


def _fields(kind: type) -> _Reader:
    hints = get_type_hints(kind)
    fields = dataclasses.fields(kind)
    known = {field.name: _reader(hints[field.name]) for field in fields}
    required = [
        field.name
        for field in fields
        if field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    ]

    def read(value: Any) -> Any:
        if type(value) is not dict:
            raise _wrong("an object", value)
        name = ""
        made = {}
        try:
            for name, one in value.items():
                if name not in known:
                    raise Mismatch("is no known field")
                made[name] = known[name](one)
            for name in required:
                if name not in made:
                    raise Mismatch("is missing")
        except Mismatch as error:
            error.path.insert(0, name)
            raise
        try:
            return kind(**made)
        except ValueError as error:
            raise Mismatch(str(error)) from error

    return read


def _wrong(wanted: str, value: Any) -> Mismatch:
    return Mismatch(f"must be {wanted}, it is {_NAMES.get(type(value), type(value).__name__)}")


def _check_number(value: float) -> None:
    if not math.isfinite(value) if isinstance(value, float) else abs(value) >= _LARGEST:
        raise Mismatch("must be a finite number of at most 63 bits")


def _not_finite(name: str) -> Any:
    raise ValueError(f"{name} is not a finite number")


def _cut(text: str) -> str:
    text = text if text.isprintable() else repr(text)[1:-1]
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."
