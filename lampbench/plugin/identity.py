"""What identifies code in keys: a built-in by its name and version, a plugin by its source.

A key must change exactly when results may change. Built-ins count their versions by hand, so that
neither a moved file nor a comment renames recorded runs. A plugin has no such discipline: the text
of its file counts, that of every local file it imports, and the values that its class holds.
"""

import dataclasses
import sys
from functools import cache
from pathlib import Path
from types import CodeType, FunctionType
from typing import Any

from lampbench.plugin.added_fields import keyed_parts, unchanged_fields
from lampbench.plugin.hyperparameter import Part, hyper_fields
from lampbench.plugin.live_values import described
from lampbench.plugin.source_files import source_digest
from lampbench.util.errors import LampbenchError
from lampbench.util.hashing import digest

PLUGIN = "plugin"
"""The first word of what stands for the code of a plugin."""

_PLUGIN_FOLDERS = ("lampbench.methods", "lampbench.tasks")


def identity(part: Part) -> dict[str, Any]:
    """All that determines a part: its code, its settings, and the parts inside it."""
    parts = {name: identity(child) for name, child in keyed_parts(part)}
    return {**own_identity(part), "parts": parts}


def own_identity(part: Part) -> dict[str, Any]:
    """All that determines a part but the parts inside it."""
    named = part.named_files()
    return {
        "code": code_identity(type(part)),
        "hyper": {field.name: getattr(part, field.name) for _, field in hyper_fields(part)},
        **({"files": dict(named)} if named else {}),
        **other_fields(part),
    }


def other_fields(part: Part) -> dict[str, Any]:
    """What a part's fields hold that are neither hyper-parameters nor parts, as `{"fields": ...}`;
    nothing where there are none, as in built-ins.
    """
    known = {field.name for _, field in hyper_fields(part)} | unchanged_fields(part)
    fields = dataclasses.fields(part)  # type: ignore[arg-type]
    held = {one.name: getattr(part, one.name) for one in fields if one.name not in known}
    plain = {k: v for k, v in held.items() if v is not None and not isinstance(v, Part)}
    return {"fields": described(plain)} if plain else {}


def code_identity(kind: type) -> list[Any]:
    """What stands for a class's code in keys.

    A class of this package: its declared `name` and `version`, wherever its file is; methods and
    tasks are built-in if their package lists them. Any other class: the digest of its file and of
    the local files that it imports, with what the class itself holds; for a class without a file
    (made in a notebook) the digest of its compiled code and of what it refers to.

    Raises:
        TypeError: a built-in does not declare a name of its own.
        LampbenchError: a file was edited after it was imported, or a notebook's class refers to
            something that cannot be told from something else.
    """
    if (version := _built_in_version(kind)) is not None:
        name = vars(kind).get("name")
        if not name:
            raise TypeError(f"{kind.__module__}.{kind.__qualname__} must declare its name")
        return ["built-in", name, version]
    if source := _source(kind):
        state = described(kind, follow_code=False)
        return [PLUGIN, kind.__qualname__, source, digest(state), *_extended_built_ins(kind)]
    return [PLUGIN, kind.__qualname__, digest(described(kind))]


def instance_state(thing: object) -> list[Any]:
    """What an instance holds that its class does not, but for parts; empty for built-ins."""
    held = {k: v for k, v in vars(thing).items() if not isinstance(v, Part)}
    return [described(held)] if held else []


def label(part: Part) -> str:
    """What manifests call a part: a built-in's declared name, or else the class's."""
    kind = type(part)
    declared = vars(kind).get("name") if _built_in_version(kind) is not None else None
    return str(declared or kind.__name__)


def _built_in_version(kind: type) -> int | None:
    """The version of a built-in; None for any other class, also in a built-in's folder."""
    package, _, _ = kind.__module__.rpartition(".")
    if package in _PLUGIN_FOLDERS:
        listed: dict[str, int] = getattr(sys.modules[package], "VERSIONS", {})
        return listed.get(str(vars(kind).get("name")))
    return getattr(kind, "version", 1) if kind.__module__.startswith("lampbench.") else None


def _extended_built_ins(kind: type) -> list[list[Any]]:
    """The built-in methods and tasks that a plugin extends: its own source does not hold them."""
    bases = [b for b in kind.__mro__[1:] if b.__module__.rpartition(".")[0] in _PLUGIN_FOLDERS]
    return [code_identity(base) for base in bases]


@cache  # a class made anew, by a reload, is another class
def _source(kind: type) -> str | None:
    name = getattr(sys.modules.get(kind.__module__), "__file__", None)
    if not name or not Path(name).is_file():
        return None
    file = Path(name).resolve()
    _require_as_imported(kind, name)
    return source_digest(file)


def _require_as_imported(kind: type, file: str) -> None:
    """The source on disk must be what the class was made from, or its digest would be a lie."""
    functions = [getattr(v, "__func__", v) for v in vars(kind).values()]
    live = [
        one.__code__
        for one in functions
        if isinstance(one, FunctionType) and one.__code__.co_filename == file
    ]
    written = set(_codes(compile(Path(file).read_bytes(), file, "exec")))
    if any(code not in written for code in live):
        raise LampbenchError(
            f"{file} was edited after it was imported: start a new process (in a notebook, restart "
            "the kernel), so that what runs is what is on disk"
        )


def _codes(code: CodeType) -> list[CodeType]:
    inside = [one for one in code.co_consts if isinstance(one, CodeType)]
    return [code, *(found for one in inside for found in _codes(one))]
