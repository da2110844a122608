"""Values and code that exist in memory only, described so that different ones differ.

A class made in a notebook has no file. Its compiled code stands for it, with the values and the
functions that this code refers to.
"""

import dataclasses
import functools
import pickle
from hashlib import sha256
from pathlib import Path
from types import CellType, CodeType, FunctionType, ModuleType
from typing import Any

from lampbench.plugin.hyperparameter import UNSET, Part, child_parts, hyper_fields
from lampbench.plugin.source_files import is_local, source_digest
from lampbench.util.errors import LampbenchError
from lampbench.util.hashing import canonical

_OF_EVERY_CLASS = {
    "__dict__", "__weakref__", "__module__", "__doc__", "__firstlineno__", "__static_attributes__",
    "__annotations__", "__lampbench_plugin__", "__parameters__", "__orig_bases__",
}  # fmt: skip


def described(value: Any, *, follow_code: bool = True) -> Any:
    """A JSON value that differs where `value` does: every value has its type, every list an end.

    Without `follow_code`, functions are described by the values that they hold (defaults and
    closures) and not by their code, and what cannot be described is passed over: the source of
    their file stands for it.

    Raises:
        LampbenchError: with `follow_code`, a value cannot be told from others.
    """
    return _Describer(follow_code).of(value)


class _Describer:
    def __init__(self, follow_code: bool) -> None:
        self._follow = follow_code
        self._numbers: dict[int, int] = {}
        self._held: list[Any] = []  # so that no id is given twice

    def of(self, value: Any) -> Any:
        if value is None or isinstance(value, (bool, int, float, str)):
            return [type(value).__name__, repr(value)]
        if isinstance(value, (bytes, Path)) or value is UNSET:
            return [type(value).__name__, repr(value)]
        if id(value) in self._numbers:
            return ["again", self._numbers[id(value)]]
        self._numbers[id(value)] = len(self._numbers)
        self._held.append(value)
        return self._compound(value)

    def _compound(self, value: Any) -> Any:
        if isinstance(value, type):
            return self._class(value)
        if isinstance(value, FunctionType):
            return self._function(value)
        if isinstance(value, (staticmethod, classmethod)):
            return [type(value).__name__, self.of(value.__func__)]
        if isinstance(value, property):
            return ["property", *map(self.of, (value.fget, value.fset, value.fdel))]
        if isinstance(value, functools.cached_property):
            return ["cached_property", self.of(value.func)]
        if isinstance(value, functools.partial):
            return ["partial", *map(self.of, (value.func, value.args, value.keywords))]
        if isinstance(value, Part):
            return self._part(value)
        if isinstance(value, (list, tuple)):
            return [type(value).__name__, [self.of(one) for one in value]]
        if isinstance(value, (set, frozenset)):
            return [type(value).__name__, sorted((self.of(one) for one in value), key=canonical)]
        if isinstance(value, dict):
            return [type(value).__name__, [[self.of(k), self.of(v)] for k, v in value.items()]]
        if isinstance(value, ModuleType):
            file = Path(getattr(value, "__file__", None) or "none").resolve()
            local = file.suffix == ".py" and is_local(file)
            return ["module", value.__name__, source_digest(file) if local else ""]
        if (wrapped := getattr(value, "__wrapped__", None)) is not None:
            return ["wrapped", type(value).__name__, self.of(wrapped)]
        return self._object(value)

    def _class(self, kind: type) -> Any:
        if kind.__module__ in ("builtins", "typing") or kind.__module__.startswith("lampbench."):
            return ["class", kind.__module__, kind.__qualname__]
        held = {k: v for k, v in vars(kind).items() if k not in _OF_EVERY_CLASS}
        bases = [base for base in kind.__bases__ if base is not object]
        listed = [[name, self.of(value)] for name, value in sorted(held.items())]
        return ["class", kind.__qualname__, [self.of(base) for base in bases], listed]

    def _function(self, function: FunctionType) -> Any:
        cells = [self._cell(cell) for cell in function.__closure__ or ()]
        defaults = [self.of(function.__defaults__), self.of(function.__kwdefaults__)]
        found = ["function", function.__qualname__, defaults, cells]
        if not self._follow:
            return found
        names = sorted(_names(function.__code__))
        inside = function.__globals__
        used = [[name, self.of(inside[name])] for name in names if name in inside]
        return [*found, _code(function.__code__), used]

    def _cell(self, cell: CellType) -> Any:
        try:
            return self.of(cell.cell_contents)
        except ValueError:
            return ["empty"]

    def _part(self, part: Part) -> Any:
        hyper = {field.name: getattr(part, field.name) for _, field in hyper_fields(part)}
        parts = dict(child_parts(part))
        return ["part", self.of(type(part)), self.of(hyper), self.of(parts)]

    def _object(self, value: Any) -> Any:
        kind = type(value)
        if isinstance(getattr(value, "__dict__", None), dict):
            return ["object", self.of(kind), self.of(vars(value))]
        if not self._follow:
            return ["object", kind.__qualname__]
        if isinstance(value, dataclasses.Field):
            told = [value.name, value.type, value.default, value.default_factory]
            return ["field", self.of(told), self.of(dict(value.metadata))]
        try:
            content = pickle.dumps(value, protocol=4)
        except Exception as error:  # pickle raises what it likes
            raise LampbenchError(
                f"a class made in a notebook refers to {value!r:.80}, which cannot be told from "
                "another value of its kind: put the class in a file, or make the value inside a "
                "function"
            ) from error
        return ["pickled", kind.__module__, kind.__qualname__, sha256(content).hexdigest()]


def _code(code: CodeType) -> Any:
    names = [code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars]
    shape = [code.co_argcount, code.co_kwonlyargcount, code.co_posonlyargcount, code.co_flags]
    constants = [_constant(one) for one in code.co_consts]
    return [code.co_code.hex(), [list(part) for part in names], shape, constants]


def _constant(value: Any) -> Any:
    if isinstance(value, CodeType):
        return ["code", _code(value)]
    if isinstance(value, frozenset):  # its order is another in every process
        return ["frozenset", sorted(map(repr, value))]
    if isinstance(value, tuple):
        return ["tuple", [_constant(one) for one in value]]
    return [type(value).__name__, repr(value)]


def _names(code: CodeType) -> set[str]:
    inside = (_names(one) for one in code.co_consts if isinstance(one, CodeType))
    return set(code.co_names).union(*inside)
