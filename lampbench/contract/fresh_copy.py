"""A plugin's class made again from its file: with no memory of earlier runs, or changed."""

import ast
import itertools
import linecache
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import TypeVar

from lampbench.core.registration import MARK, mark

K = TypeVar("K", bound=type)

_numbers = itertools.count()


def source_of(kind: type) -> Path | None:
    """The file that defines a class; None for one made in a notebook."""
    name = getattr(sys.modules.get(kind.__module__), "__file__", None)
    return Path(name) if name and Path(name).is_file() else None


def fresh_copy(kind: K, change: Callable[[ast.Module], ast.Module] | None = None) -> K:
    """The class, from its module executed once more beside the loaded one.

    Whatever its code keeps in classes and module variables is as at the start of a process.
    Modules that it imports are shared. With `change`, what is executed is the changed tree. A class
    without a file, or of `lampbench.plugin`, is returned as it is.
    """
    file = source_of(kind)
    if file is None or kind.__module__.startswith("lampbench.plugin."):
        return kind
    tree = ast.parse(file.read_bytes(), str(file))
    name = f"{kind.__module__}__copy{next(_numbers)}"
    module = ModuleType(name)
    module.__package__ = kind.__module__.rpartition(".")[0]
    if change is None:
        module.__file__ = str(file)  # its source stands for it in keys
    else:
        tree = ast.fix_missing_locations(change(tree))
    linecache.checkcache(str(file))
    sys.modules[name] = module  # dataclasses look their module up
    try:
        exec(compile(tree, str(file), "exec"), vars(module))
        found: K = module  # type: ignore[assignment]
        for part in kind.__qualname__.split("."):
            found = getattr(found, part)
        if MARK in vars(kind) and MARK not in vars(found):  # registered by lampbench, not its file
            mark(found, *vars(kind)[MARK])
    except BaseException:
        del sys.modules[name]
        raise
    return found


def forget_copies(kind: type) -> None:
    """Drop the copies of a class's module."""
    for name in [name for name in sys.modules if name.startswith(f"{kind.__module__}__copy")]:
        del sys.modules[name]
