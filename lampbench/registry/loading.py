"""Importing plugins; a broken one is told with its file and line."""

import importlib
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from lampbench.core.registration import MARK
from lampbench.registry.checks import wrong_with
from lampbench.registry.locations import PluginLocation, package_of
from lampbench.util.errors import LampbenchError


def plugin_modules(paths: Sequence[Path]) -> Iterator[ModuleType]:
    """The imported modules of files and folders of plugins.

    Raises:
        LampbenchError: a file is broken.
    """
    for path in paths:
        for file in sorted(path.glob("[!_]*.py")) if path.is_dir() else [path]:
            found = PluginLocation("method", file.stem, str(file), "", file.resolve())
            try:
                yield importlib.import_module(f"{package_of(file.resolve().parent)}.{file.stem}")
            except (Exception, SystemExit) as error:  # a plugin may fail in any way
                raise LampbenchError(f"{_cause(error, found)}") from error


def load(found: PluginLocation) -> Any:
    """An instance of a plugin, or an error that says where and why it is broken."""
    broken = f"{found.kind} {found.name!r} is broken: "
    if found.error:
        raise LampbenchError(broken + found.error)
    try:
        module = importlib.import_module(found.module)
        classes = [value for value in vars(module).values() if isinstance(value, type)]
        marks = {vars(kind)[MARK]: kind for kind in classes[::-1] if MARK in vars(kind)}
        marked = [kind for mark, kind in marks.items() if mark == (found.kind, found.name)]
        registered = sorted(name for what, name in marks if what == found.kind)
        wrong = wrong_with(found, marked, registered)
        if not wrong:
            return marked[0]()
    except (Exception, SystemExit) as error:  # a plugin may fail in any way; the cause is shown
        raise LampbenchError(broken + _cause(error, found)) from error
    raise LampbenchError(f"{broken}{found.origin}: {wrong}")


def _cause(error: BaseException, found: PluginLocation) -> str:
    """File, line and message of a failed import, in the plugin's own file where possible."""
    if isinstance(error, SyntaxError):
        return f"{error.filename}:{error.lineno}: {type(error).__name__}: {error.msg}"
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if found.file and frame.filename == str(found.file)]
    ours = (__file__, importlib.__file__)
    outside = [f for f in frames if f.filename not in ours and "importlib" not in f.filename]
    place = (own or outside)[-1:]
    source = found.origin if found.file else f"the entry point {found.name} = {found.origin}"
    where = f"{place[0].filename}:{place[0].lineno}" if place else source
    message = str(error).partition("\n")[0]
    return f"{where}: {type(error).__name__}: {message}"
