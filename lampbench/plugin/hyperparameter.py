"""Hyper-parameters: declared on a method's parts, resolved from sources that are recorded.

A part is a frozen dataclass. Fields made with `hyper` may be left unset; `resolve` fills them in
from, strongest first: the command line, the configuration file, the method's own file, the task,
the preset for the task's family, the field's default.
"""

import dataclasses
import math
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any, ClassVar, Literal, TypeVar, get_origin

from lampbench.util.bounds import LARGEST_NUMBER, LONGEST_NAME
from lampbench.util.errors import LampbenchError, short_repr, suggestion
from lampbench.util.regular_file import read_regular
from lampbench.util.terminal import message_line

MODEL_SECTION, ENGINE_SECTION = "model", "engine"
"""The sections of a configuration file that hold no hyper-parameters."""
_KINDS = {float: "a number", int: "a whole number", bool: "true or false", str: "a text"}
"""What a value of each type is, in the words of an error."""


class _Unset(Enum):
    UNSET = "unset"

    def __repr__(self) -> str:
        return "UNSET"


UNSET = _Unset.UNSET


def hyper(
    doc: str,
    *,
    default: Any = UNSET,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] | None = None,
    metric: bool = False,
) -> Any:
    """Declare a hyper-parameter: its meaning, default and valid range.

    With `metric` the value is the name of a metric, whose code and settings count in keys too.
    """
    rule = {"doc": doc, "default": default, "low": low, "high": high, "choices": choices}
    if metric:
        rule["metric"] = True
    return dataclasses.field(default=UNSET, metadata={"hyper": rule})


class Part:
    """One choice of a method, or a recipe behind it. `section` names it in hyper-parameter paths.

    `name` and `version` identify a built-in part in keys. The version goes up when the part's code
    changes what it produces, so that stored artifacts made by the earlier code are not taken for
    its work. A plugin's part needs neither: its source counts.
    """

    name: ClassVar[str]
    section: ClassVar[str]
    version: ClassVar[int] = 1

    def named_files(self) -> Mapping[str, str]:
        """Digests of files that a setting names by their path, by the setting; they count in keys.

        Empty where no setting does.
        """
        return {}


P = TypeVar("P", bound=Part)


@dataclass(frozen=True, slots=True)
class Setting:
    """A resolved hyper-parameter: path (`decoding.alpha`), value, source and meaning.

    `changed` says whether the user set it to something other than its default.
    """

    path: str
    value: Any
    source: str
    doc: str
    changed: bool = False


@dataclass(frozen=True, slots=True)
class SourcedValue:
    """A value and where it comes from."""

    value: Any
    source: str


@dataclass(frozen=True, slots=True)
class ValueSources:
    """Sources of values: `overrides` win over the method's file, which wins over `defaults`."""

    overrides: Mapping[str, SourcedValue]
    defaults: Mapping[str, SourcedValue]


def hyper_fields(part: Part) -> Iterator[tuple[str, dataclasses.Field[Any]]]:
    """Path and field of each hyper-parameter of the part itself."""
    for field in dataclasses.fields(part):  # type: ignore[arg-type]
        if "hyper" in field.metadata:
            yield f"{part.section}.{field.name}", field


def child_parts(part: Part) -> Iterator[tuple[str, Part]]:
    """Field name and value of each part nested in a part."""
    for field in dataclasses.fields(part):  # type: ignore[arg-type]
        value = getattr(part, field.name)
        if isinstance(value, Part):
            yield field.name, value


def resolve(part: P, layers: ValueSources, origin: str, found: dict[str, Setting]) -> P:
    """The part with every hyper-parameter set, nested parts included; records them in `found`.

    `origin` is the source shown for values that the method's file sets itself.

    Raises:
        LampbenchError: no source gives a value, a value does not fit its field, or two parts of
            the same section set different values.
    """
    changes: dict[str, Any] = {
        name: resolve(child, layers, origin, found) for name, child in child_parts(part)
    }
    for path, field in hyper_fields(part):
        rule = field.metadata["hyper"]
        own = getattr(part, field.name)
        usual: SourcedValue | None = None
        if own is not UNSET:
            usual = SourcedValue(own, origin)
        elif path in layers.defaults:
            usual = layers.defaults[path]
        elif rule["default"] is not UNSET:
            usual = SourcedValue(rule["default"], f"default of {type(part).__name__}")
        given = layers.overrides.get(path, usual)
        if given is None:
            raise LampbenchError(f"{path} has no value: set it with --set {path}=VALUE")
        value = checked_value(path, given, field.type, rule)
        changed = given is not usual and (
            usual is None or checked_value(path, usual, field.type, rule) != value
        )
        setting = Setting(path, value, given.source, rule["doc"], changed)
        before = found.setdefault(path, setting)
        if before.value != value:
            raise LampbenchError(
                f"{path} is both {before.value!r} and {value!r} in {origin}: "
                f"give one of the two parts a section of its own"
            )
        changes[field.name] = value
    return dataclasses.replace(part, **changes)  # type: ignore[type-var]


def checked_value(path: str, given: SourcedValue, kind: Any, rule: Mapping[str, Any]) -> Any:
    """The value converted to its field's type, or an error that says what is valid."""
    value = given.value
    kind = str if get_origin(kind) is Literal else kind
    where = f"{path}={short_repr(value)} (from {given.source})"
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        try:
            value = float(value)
        except OverflowError:
            raise LampbenchError(f"{where}: give a finite number") from None
    if kind == tuple[str, ...]:
        names = value.split(",") if isinstance(value, str) else value
        if not isinstance(names, list | tuple) or not all(isinstance(n, str) and n for n in names):
            raise LampbenchError(f"{where}: give names separated by commas")
        for name in names:
            _require_line(name, where)
        return tuple(names)
    if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
        raise LampbenchError(f"{where}: give {_KINDS.get(kind, kind.__name__)}")
    if isinstance(value, float) and not math.isfinite(value):
        raise LampbenchError(f"{where}: give a finite number")
    if isinstance(value, int) and abs(value) > LARGEST_NUMBER:
        raise LampbenchError(f"{where}: must be at most {LARGEST_NUMBER:,}")
    if isinstance(value, str):
        _require_line(value, where)
    value = 0.0 if value == 0 and isinstance(value, float) else value  # -0.0 is no other value
    low, high, choices = rule["low"], rule["high"], rule["choices"]
    if low is not None and not value >= low:
        raise LampbenchError(f"{where}: must be at least {low}")
    if high is not None and not value <= high:
        raise LampbenchError(f"{where}: must be at most {high}")
    if choices is not None and value not in choices:
        raise LampbenchError(f"{where}: choose one of {', '.join(choices)}")
    return value


def _require_line(text: str, where: str) -> None:
    if len(text) > LONGEST_NAME or message_line(text) != text:
        raise LampbenchError(
            f"{where}: give one line of at most {LONGEST_NAME} printable characters"
        )


def parse_set(text: str) -> tuple[str, SourcedValue]:
    """`decoding.alpha=0.5` as a path and a value (a TOML value, or else a plain word)."""
    path, sign, raw = text.partition("=")
    if not sign or "." not in path:
        raise LampbenchError(
            f"--set {text}: write SECTION.NAME=VALUE, for example decoding.alpha=0.5"
        )
    return path.strip(), parse_value(raw, "--set")


def parse_value(raw: str, source: str) -> SourcedValue:
    """A typed value: a TOML value, or else a plain word.

    Raises:
        LampbenchError: it is not one line.
    """
    if len(raw.splitlines()) > 1:  # the next line would be another TOML statement
        raise LampbenchError(f"{source} {short_repr(raw)}: give a value on one line")
    try:
        return SourcedValue(tomllib.loads(f"value = {raw}")["value"], source)
    except (ValueError, RecursionError):
        return SourcedValue(raw, source)


def read_config(path: Path) -> dict[str, SourcedValue]:
    """Hyper-parameters of a TOML file: `[decoding]` then `alpha = 0.5`.

    Raises:
        LampbenchError: it cannot be read, or is no TOML file of sections.
    """
    return {
        f"{section}.{name}": SourcedValue(value, str(path))
        for section, values in _sections(path).items()
        if section not in (MODEL_SECTION, ENGINE_SECTION)
        for name, value in values.items()
    }


def read_model_section(path: Path) -> dict[str, Any]:
    """The values of a TOML file's section `[model]`, which say how models are loaded.

    Raises:
        LampbenchError: as `read_config`.
    """
    return _sections(path).get(MODEL_SECTION, {})


def read_engine_section(path: Path) -> tuple[dict[str, str], dict[str, dict[str, Any]]]:
    """The section `[engine]` of a TOML file: engines by stage, and arguments by engine.

    `sample = "vllm"` names the engine of a stage; the table `[engine.vllm]` holds its arguments.

    Raises:
        LampbenchError: as `read_config`; a value is neither a name nor a table.
    """
    stages, arguments = {}, {}
    for name, value in _sections(path).get(ENGINE_SECTION, {}).items():
        if isinstance(value, dict):
            arguments[name] = value
        elif isinstance(value, str):
            stages[name] = value
        else:
            raise LampbenchError(
                f"{path}: [engine] {name} = {short_repr(value)}: give the name of an engine, such "
                'as "reference"'
            )
    return stages, arguments


def _sections(path: Path) -> dict[str, dict[str, Any]]:
    try:
        tables = tomllib.loads(read_regular(path).decode("utf-8"))
    except OSError as error:
        raise LampbenchError(
            f"{path}: cannot be read ({error.strerror}); give a TOML file (--config)"
        ) from error
    except (ValueError, RecursionError) as error:
        raise LampbenchError(f"{path}: not a TOML file ({error}); correct it") from error
    for section, values in tables.items():
        if not isinstance(values, dict):
            raise LampbenchError(
                f"{path}: {short_repr(section)} is in no table; put it under a section, such as "
                "[decoding]"
            )
    return tables


def reject_unknown(overrides: Mapping[str, SourcedValue], known: set[str]) -> None:
    """Raise for an override that no part of any chosen method has."""
    for path, given in overrides.items():
        if path not in known:
            hint = suggestion(path, known)
            raise LampbenchError(
                f"{path} (from {given.source}) is not a hyper-parameter of these methods: {hint}"
            )
