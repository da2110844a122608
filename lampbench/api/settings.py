"""What a run may be told, with the defaults of the command line."""

import operator
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

from lampbench.api.api_settings import ENGINE as API_ENGINE
from lampbench.api.api_settings import merge_api_settings, require_api_engine, take_api_settings
from lampbench.core.fidelity import FIDELITIES
from lampbench.core.precision import PRECISIONS
from lampbench.core.task import Task
from lampbench.data.options import SplitBy
from lampbench.engine.engine_argument import parse_engine_arguments
from lampbench.engine.engine_plugin import EnginePlugin
from lampbench.engine.model_arguments import model_arguments, parse_model_arguments
from lampbench.engine.pool import DEFAULT_ENGINE
from lampbench.execution.remote_folder import cache_folder
from lampbench.paper.presets import PRESETS
from lampbench.plugin.hyperparameter import read_engine_section, read_model_section
from lampbench.plugin.method import Method
from lampbench.util.bounds import LARGEST_COUNT, LARGEST_SEED
from lampbench.util.errors import LampbenchError, short_repr, suggestion

AnyMethod = str | type[Method] | Method
AnyTask = str | type[Task] | Task
AnyEngine = str | type[EnginePlugin] | EnginePlugin

EXPERIMENTS = ("main", "cross-model", "ablation", "sensitivity")


class RunSettings(TypedDict, total=False):
    """How to run; every setting has the default of the command line.

    Attributes:
        data: source of the data: "bundled", "lamp:DIR", "oppu:DIR", "longlamp", "lampbench:DIR".
        users: number of test users, those with the longest histories first.
        min_history: records that a test user must have.
        max_history: most recent records that test users keep, None for all; several in a list are
            runs of their own.
        split_by: "user" or "time", for LaMP and LongLaMP.
        splits: published splits to read: "train", "dev", "test".
        data_seed: orders users with equally long histories.
        preset: default hyper-parameters: "paper", "reference", "small", "smollm2-135m", "api".
        hyperparameters: values by path, such as {"decoding.alpha": 0.5}.
        assignments: values as the command line writes them, "decoding.alpha=0.5".
        config: TOML file of hyper-parameters.
        fidelity: "paper", or "reference" for the choices of the paper's released code.
        chat_template: "mistral", "llama", "gemma", "qwen" or "vicuna", not the tokenizer's own.
        device: "cpu", "cuda", "cuda:1", "mps".
        dtype: "float32", "bfloat16" or "float16".
        model_args: how models are loaded, such as {"quantization": "4bit"}: see
            `lampbench.engine.model_arguments.ModelArguments`.
        batch_size: most rows in one decoding step.
        engine: an engine's name ("batched", "reference"), or a class.
        engine_args: the engine's own arguments, such as {"max_loras": 8}; {"NAME.KEY": value} is
            for an engine of another name.
        stage_engines: engines of single stages, such as {"sample": "vllm"}: a stage's name, or
            "train", "sample", "score" or "predict".
        api_base: address of an OpenAI-compatible API, for the engine "openai".
        price: of a million tokens read and of a million written, such as (0.15, 0.60).
        max_total_tokens: stop before the API has counted more tokens, read and written.
        max_cost: stop before the API has cost more, at `price`.
        private: record hashes, lengths and scores, but no text of users and none of the model.
        rewards: record the reward of every token that contrastive decoding chooses.
        cache_dir: folder of adapters, negatives and other artifacts, or the URL of a store such as
            s3://bucket/folder.
        plugins: files or folders of plugins.
    """

    data: str
    users: int | None
    min_history: int
    max_history: int | Sequence[int | None] | None
    split_by: SplitBy | None
    splits: Sequence[str]
    data_seed: int
    preset: str | None
    hyperparameters: Mapping[str, Any]
    assignments: Sequence[str]
    config: Path | None
    fidelity: str
    chat_template: str | None
    device: str | None
    dtype: str | None
    model_args: Mapping[str, Any] | Sequence[str]
    batch_size: int | None
    engine: AnyEngine
    engine_args: Mapping[str, Any] | Sequence[str]
    stage_engines: Mapping[str, str]
    api_base: str | None
    price: str | Sequence[float] | None
    max_total_tokens: int | None
    max_cost: float | None
    private: bool
    rewards: bool
    cache_dir: Path | str
    plugins: Sequence[str]


def as_list(value: Any) -> list[Any]:
    """A single value as a list of it; a string is one value, not a list of letters."""
    single = isinstance(value, (str, bytes, type)) or not isinstance(value, Iterable)
    return [value] if single else list(value)


def readable_again(settings: RunSettings) -> dict[str, Any]:
    """Settings whose iterators, which can be read only once, are lists."""
    return {
        name: list(value) if isinstance(value, Iterator) else value
        for name, value in settings.items()
    }


def checked_settings(given: Mapping[str, Any]) -> dict[str, Any]:
    """Settings as `RunOptions` takes them: single values as lists, text as paths.

    Raises:
        LampbenchError: there is no such setting, its value is of another type, or two exclude each
            other.
    """
    known = dict(given)
    for name, value in given.items():
        if name not in RunSettings.__annotations__:
            hint = suggestion(name, RunSettings.__annotations__)
            raise LampbenchError(f"there is no setting {name!r}: {hint}")
        if name in _PARSED:
            mapping = isinstance(value, Mapping)
            known[name] = dict(value) if mapping else _PARSED[name](as_list(value))
        elif name == "hyperparameters":
            known[name] = values_by_path(name, value)
        elif name == "stage_engines":
            known[name] = _named_engines(value)
        elif name in ("splits", "assignments", "plugins"):
            known[name] = tuple(map(str, as_list(value)))
        elif name == "config":
            known[name] = None if value is None else Path(value)
        elif name == "cache_dir":
            known[name] = None if value is None else cache_folder(value)
        elif name in ("users", "min_history", "data_seed", "batch_size"):
            least, most = (0, LARGEST_SEED) if name == "data_seed" else (1, LARGEST_COUNT)
            if value is not None or name not in ("users", "batch_size"):
                known[name] = checked_whole(name, value, least, most)
        elif name == "max_total_tokens" and value is not None:
            known[name] = checked_whole(name, value, 1, LARGEST_COUNT)
        elif name == "max_history":
            known[name] = tuple(
                None if one is None else checked_whole(name, one, 1, LARGEST_COUNT)
                for one in as_list(value)
            ) or (None,)
        elif name in _CHOICES and value not in _CHOICES[name]:
            usual = ", ".join(repr(one) for one in _CHOICES[name] if one is not None)
            raise LampbenchError(f"{name}={short_repr(value)}: choose one of {usual}")
        elif name == "data" and not isinstance(value, str):
            raise LampbenchError(
                f"data={short_repr(value)}: give the source as text, such as 'lampbench:DIR' "
                "(docs/own-data.md)"
            )
        elif name in ("private", "rewards") and not isinstance(value, bool):
            raise LampbenchError(f"{name}={short_repr(value)}: give True or False")
    if known.get("private") and known.get("rewards"):
        raise LampbenchError(
            "--private and --rewards: rewards are of tokens, which a private run does not record; "
            "give one"
        )
    return known


def settle_model_settings(known: dict[str, Any], models: list[str]) -> list[str]:
    """Put what says how models are loaded into one object; returns the models, with revision.

    `known` are checked settings: `model_args` and the section [model] of `config`, which is weaker,
    become `model_arguments`, and `dtype` is what either of the two ways says.

    Raises:
        LampbenchError: an argument is not valid, or contradicts another setting.
    """
    config = known.get("config")
    given = {**(read_model_section(config) if config else {}), **known.pop("model_args", {})}
    found = known["model_arguments"] = model_arguments(given)
    dtype = known.get("dtype")
    if found.dtype and dtype not in (None, found.dtype):
        raise LampbenchError(f"--dtype {dtype} and --model-arg dtype={found.dtype}: give one")
    known["dtype"] = found.dtype or dtype
    if not found.revision:
        return models
    if len(models) != 1 or "@" in models[0]:
        raise LampbenchError(
            f"--model-arg revision={found.revision} is for one --model without a revision of its "
            "own; write --model NAME@REVISION for each of several"
        )
    return [f"{models[0]}@{found.revision}"]


def settle_engine_settings(known: dict[str, Any]) -> None:
    """Put what engines are told into one mapping by engine, and engines of stages into another.

    `known` are checked settings. The section [engine] of `config` is weaker than `engine_args`,
    which become part of `engine_arguments`, and than `stage_engines`.

    Raises:
        LampbenchError: the section is not valid, or an argument is for an engine of no stage.
    """
    config = known.get("config")
    stages, arguments = read_engine_section(config) if config else ({}, {})
    answering = known.get("engine", DEFAULT_ENGINE)
    name = answering if isinstance(answering, str) else answering.name
    known["stage_engines"] = {**stages, **known.get("stage_engines", {})}
    engines = (name, *known["stage_engines"].values())
    for key, value in known.pop("engine_args", {}).items():
        engine, argument = key.split(".", 1) if "." in key else (name, key)
        if engine not in engines:
            shown = _SHORT_FORMS.get(key, f"--engine-arg {key}")
            raise LampbenchError(f"{shown} is for engine {engine}: add --engine {engine}")
        arguments.setdefault(engine, {})[argument] = value
    told = take_api_settings(known)
    require_api_engine(told, engines)
    if told:
        merge_api_settings(arguments.setdefault(API_ENGINE, {}), told)
    known["engine_arguments"] = arguments


def values_by_path(name: str, value: Any) -> dict[str, Any]:
    """A mapping of hyper-parameters' names to values.

    Raises:
        LampbenchError: it is something else, or has another kind of keys.
    """
    if value is None or (isinstance(value, Mapping) and all(isinstance(one, str) for one in value)):
        return dict(value or {})
    raise LampbenchError(
        f"{name}={short_repr(value)}: give a mapping of names to values, such as "
        "{'decoding.alpha': 0.5}"
    )


def as_axes(grid: Any) -> dict[str, list[Any]]:
    """The axes of a grid: a hyper-parameter's name, and the values that it takes.

    Raises:
        LampbenchError: it is no mapping of names.
    """
    return {path: as_list(values) for path, values in values_by_path("grid", grid).items()}


def _named_engines(value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping) or not all(isinstance(one, str) for one in value.values()):
        raise LampbenchError(
            f"stage_engines={short_repr(value)}: give a mapping such as {{'sample': 'reference'}}"
        )
    return dict(value)


def checked_seeds(seeds: Sequence[Any]) -> list[int]:
    """Seeds of runs; numpy's integers become Python's.

    Raises:
        LampbenchError: one is no whole number, or out of bounds.
    """
    return [checked_whole("seed", seed, 0, LARGEST_SEED) for seed in seeds]


def checked_whole(name: str, value: Any, least: int, most: int) -> int:
    """A whole number within bounds, as Python's `int`.

    Raises:
        LampbenchError: it is none, or out of bounds.
    """
    try:
        number = least - 1 if isinstance(value, bool) else operator.index(value)
    except TypeError:
        number = least - 1
    if not least <= number <= most:
        raise LampbenchError(
            f"{name}={short_repr(value)}: give a whole number from {least} to {most:,}"
        )
    return number


_PARSED: dict[str, Callable[[Sequence[str]], dict[str, Any]]] = {
    "model_args": parse_model_arguments,
    "engine_args": parse_engine_arguments,
}
"""Settings that the command line writes as KEY=VALUE texts."""

_SHORT_FORMS = {"vllm.python": "--vllm-python", "vllm.url": "--vllm-url"}
"""Options that stand for engine arguments."""

_CHOICES: dict[str, tuple[str | None, ...]] = {
    "fidelity": tuple(FIDELITIES),
    "dtype": (None, *PRECISIONS),
    "split_by": (None, "user", "time"),
    "preset": (None, *PRESETS),
}
