"""What identifies code in keys: a built-in by its name and version, a plugin by its source.

A key must change exactly when results may change. Built-ins count their versions by hand, so that
neither a moved file nor a comment renames recorded runs. A plugin has no such discipline: the text
of its file counts, and that of every local file it imports.
"""

import ast
import sys
from collections.abc import Iterator
from functools import cache
from os.path import relpath
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

from lampbench.plugin.hyperparameter import UNSET, Part, child_parts, hyper_fields
from lampbench.util.hashing import digest, file_digest


def identity(part: Part) -> dict[str, Any]:
    """All that determines a part: its code, its settings, and the parts inside it."""
    return {
        "code": code_identity(type(part)),
        "hyper": {field.name: getattr(part, field.name) for _, field in hyper_fields(part)},
        "parts": {name: identity(child) for name, child in child_parts(part)},
    }


def code_identity(kind: type) -> list[Any]:
    """What stands for a class's code in keys.

    A class of this package: its declared `name` and `version`, wherever its file is. Any other
    class: the digest of its file and of the local files that it imports; for a class without a
    file (made in a notebook) the digest of its compiled code and of what it refers to there.

    Raises:
        TypeError: a built-in does not declare a name of its own.
    """
    if kind.__module__.partition(".")[0] == "lampbench":
        name = vars(kind).get("name")
        if not name:
            raise TypeError(f"{kind.__module__}.{kind.__qualname__} must declare its name")
        return ["built-in", name, getattr(kind, "version", 1)]
    source = _source(kind) or digest(list(_described(kind, set())))
    return ["plugin", kind.__qualname__, source]


def label(part: Part) -> str:
    """What manifests call a part: a built-in's declared name, or else the class's."""
    return str(vars(type(part)).get("name") or type(part).__name__)


@cache  # a class made anew, by a reload, is another class
def _source(kind: type) -> str | None:
    file = getattr(sys.modules.get(kind.__module__), "__file__", None)
    return source_digest(Path(file).resolve()) if file and Path(file).is_file() else None


def source_digest(file: Path) -> str:
    """The digest of a Python file and of the local files it imports, directly or through them.

    Local are files of the same package, or, for a file outside any package, those beside it.
    Where the folder is does not matter. Data files are not seen.
    """
    files: set[Path] = set()
    waiting = [file]
    while waiting:
        found = waiting.pop()
        if found not in files:
            files.add(found)
            waiting += _local_imports(found)
    return digest(sorted([relpath(one, file.parent), file_digest(one)] for one in files))


def _local_imports(file: Path) -> Iterator[Path]:
    top = file.parent
    while (top / "__init__.py").is_file():
        top = top.parent
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _module_files(top, alias.name.split("."))
        elif isinstance(node, ast.ImportFrom):
            start = top
            if node.level:
                start = file.parents[node.level - 1]
            path = node.module.split(".") if node.module else []
            for alias in node.names:
                yield from _module_files(start, [*path, alias.name])


def _module_files(folder: Path, names: list[str]) -> Iterator[Path]:
    """The files below `folder` that importing a dotted name runs."""
    for name in names:
        module = folder / f"{name}.py"
        if module.is_file():
            yield module.resolve()
            return
        folder = folder / name
        package = folder / "__init__.py"
        if package.is_file():
            yield package.resolve()
        elif not folder.is_dir():
            return


def _described(value: Any, seen: set[int]) -> Iterator[Any]:
    """What a class or function of a notebook consists of, in JSON values."""
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, type):
        yield ["class", value.__qualname__]
        for base in value.__bases__:
            if base.__module__ == value.__module__:
                yield from _described(base, seen)
        for name, held in sorted(vars(value).items()):
            if name not in ("__dict__", "__weakref__", "__firstlineno__", "__static_attributes__"):
                yield name
                yield from _described(held, seen)
    elif isinstance(value, (staticmethod, classmethod)):
        yield from _described(value.__func__, seen)
    elif isinstance(value, property):
        yield from _described(value.fget, seen)
    elif isinstance(value, FunctionType):
        yield from _code(value.__code__)
        for held in (value.__defaults__ or (), *(c.cell_contents for c in value.__closure__ or ())):
            yield from _described(held, seen)
        for name in sorted(_names(value.__code__)):
            held = value.__globals__.get(name)
            if getattr(held, "__module__", value.__module__) == value.__module__:
                yield name
                yield from _described(held, seen)
    elif isinstance(value, Part):
        yield from _declared(value)
    elif isinstance(value, (list, tuple, set, frozenset)):
        members = sorted(value, key=repr) if isinstance(value, (set, frozenset)) else value
        for member in members:
            yield from _described(member, seen)
    elif isinstance(value, dict):
        for name, held in value.items():
            yield str(name)
            yield from _described(held, seen)
    elif isinstance(value, (str, int, float, bool, type(None))):
        yield value


def _declared(part: Part) -> Iterator[Any]:
    """A part as a class declares it; what it leaves unset comes from presets and counts there."""
    yield code_identity(type(part))
    for path, field in hyper_fields(part):
        value = getattr(part, field.name)
        yield [path, "unset" if value is UNSET else value]
    for name, child in child_parts(part):
        yield name
        yield from _declared(child)


def _code(code: CodeType) -> Iterator[Any]:
    yield code.co_code.hex()
    yield list(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _code(constant)
        else:
            yield repr(constant)


def _names(code: CodeType) -> set[str]:
    inside = (_names(c) for c in code.co_consts if isinstance(c, CodeType))
    return set(code.co_names).union(*inside)
