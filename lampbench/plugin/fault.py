"""Faults of plugins: an exception in a plugin's code is told with its file and line."""

import inspect
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from lampbench.core.task import Task
from lampbench.engine.engine_plugin import EnginePlugin
from lampbench.plugin.hyperparameter import Part
from lampbench.plugin.method import Method
from lampbench.plugin.metric import Metric
from lampbench.plugin.source_files import is_local
from lampbench.util.errors import LampbenchError

_PLUGIN_FOLDERS = ("lampbench.methods.", "lampbench.tasks.", "lampbench.metrics.")
_CALL_FUNCTIONS = ("lampbench.plugin.", "lampbench.core.", *_PLUGIN_FOLDERS)
_NOT_FOR_PLUGINS = ("lampbench.engine.", "lampbench.data.", "lampbench.record.")


class PluginFault(LampbenchError):
    """An exception in a plugin's code."""


@contextmanager
def told_as_the_plugins(what: str) -> Iterator[None]:
    """Tell an exception in a plugin's code in one line, with its file and line; `what` failed.

    Other exceptions pass unchanged, and so do errors that are meant for the user.
    """
    try:
        yield
    except LampbenchError:
        raise
    except Exception as error:
        if (told := fault_of_plugin(error)) is None:
            raise
        raise PluginFault(f"{what} failed {told}") from error


def fault_of_plugin(error: Exception) -> str | None:
    """`in NAME() at FILE:LINE: TYPE: MESSAGE` if a plugin is at fault, else None.

    NAME is the plugin's function that lampbench called, FILE:LINE the last line of a plugin before
    the exception. A plugin is at fault where it raised the exception, or called something else
    that did: a library, or a function that `lampbench.plugin` and the context offer. An exception
    inside the engine is not the plugin's.
    """
    frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
    lines = [line for _, line in traceback.walk_tb(error.__traceback__)]
    tops = _top_packages()
    called = _called_by_lampbench(frames, tops)
    if called is None:
        return None
    for place in range(len(frames) - 1, called - 1, -1):
        frame = frames[place]
        if _defines_plugins(frame, tops) or _is_the_users(frame):
            code = frame.f_code
            name = getattr(frames[called].f_code, "co_qualname", frames[called].f_code.co_name)
            cause = str(error).partition("\n")[0]
            where = f"{code.co_filename}:{lines[place]}"
            told = f"{type(error).__name__}: {cause}" if cause else type(error).__name__
            return f"in {name.replace('<locals>.', '')}() at {where}: {told}"
        if f"{_module(frame)}.".startswith(_NOT_FOR_PLUGINS):
            return None
    return None


def place_of_function(function: Callable[..., object]) -> str:
    """`FILE:LINE` of a function's first line; its module for one that is not written in Python."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    return f"{code.co_filename}:{code.co_firstlineno}" if code else str(function.__module__)


def _called_by_lampbench(frames: list[FrameType], tops: frozenset[str]) -> int | None:
    """The place of the first frame of a plugin after one of lampbench; None if there is none.

    A function of a file without a plugin (a loader, a retriever) counts where a part calls it.
    """
    caller = ""
    for place, frame in enumerate(frames):
        if _is_lampbench(frame):
            caller = _module(frame) if _module(frame) != __name__ else caller
        elif caller and (
            _defines_plugins(frame, tops)
            or (caller.startswith(_CALL_FUNCTIONS) and _is_the_users(frame))
        ):
            return place
    return None


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", ""))


def _is_lampbench(frame: FrameType) -> bool:
    name = _module(frame)
    return name.partition(".")[0] == "lampbench" and not name.startswith(_PLUGIN_FOLDERS)


def plugin_frame(frame: FrameType) -> bool:
    """Whether a frame is of a plugin's code, or of a local file or notebook that it uses."""
    return _defines_plugins(frame, _top_packages()) or _is_the_users(frame)


def _defines_plugins(frame: FrameType, tops: frozenset[str]) -> bool:
    name = _module(frame)
    return name.startswith(_PLUGIN_FOLDERS) or name.partition(".")[0] in tops


def _is_the_users(frame: FrameType) -> bool:
    """Whether its code is in a local file or a notebook."""
    file = frame.f_code.co_filename
    return (
        not _is_lampbench(frame)
        and not file.startswith("<frozen")
        and (file.startswith("<") or is_local(Path(file).resolve()))
    )


def _top_packages() -> frozenset[str]:
    """Where the plugins that are loaded come from, as top-level names of modules."""
    found: set[str] = set()
    waiting: list[type] = [Part, Method, Task, Metric, EnginePlugin]
    while waiting:
        kind = waiting.pop()
        found.add(kind.__module__.partition(".")[0])
        waiting += kind.__subclasses__()
    return frozenset(found - {"lampbench"})
