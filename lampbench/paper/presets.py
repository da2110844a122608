"""Default hyper-parameters by task family, each with its source."""

import tomllib
from importlib.resources import files
from typing import Any

from lampbench.core.task import Family, Task
from lampbench.engine.models import ModelSpec
from lampbench.plugin.hyperparameter import SourcedValue as Value
from lampbench.util.errors import LampbenchError, suggestion

_ALL = "all"  # of a preset: its values for the tasks of every family
_PAPER = "paper"  # the preset whose values all others change

_READ: dict[str, dict[str, Any]] = tomllib.loads(
    files("lampbench.paper").joinpath("presets.toml").read_text("utf-8")
)

PRESETS: dict[str, str] = {name: preset["about"] for name, preset in _READ.items()}
"""What each preset is, by name."""


def defaults(preset: str, task: Task) -> dict[str, Value]:
    """Default values, by hyper-parameter path, of a preset for a task.

    Raises:
        LampbenchError: no preset has that name.
    """
    if preset not in PRESETS:
        raise LampbenchError(f"no preset is called {preset!r}: {suggestion(preset, PRESETS)}")
    values = _values(_PAPER, task.family)
    values["decoding.max_new_tokens"] = Value(task.max_new_tokens, f"task {task.name}")
    if preset != _PAPER:
        values |= _values(preset, task.family)
    values.setdefault("negatives.max_new_tokens", values["decoding.max_new_tokens"])
    return values


def _values(preset: str, family: Family) -> dict[str, Value]:
    """What a preset says for the tasks of a family."""
    return {
        f"{section}.{name}": Value(_frozen(entry["value"]), entry["source"])
        for part in (_ALL, family)
        for section, entries in _READ[preset].get(part, {}).items()
        for name, entry in entries.items()
    }


def _frozen(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def default_preset(model: ModelSpec | None, fidelity: str) -> str:
    """The preset of a run for which the user chose none; `model` is None where it is not known."""
    if fidelity == "reference":
        return "reference"
    return (model and model.preset) or _PAPER
