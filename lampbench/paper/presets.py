"""Default hyper-parameters by task family, each with its source."""

import tomllib
from importlib.resources import files
from typing import Any

from lampbench.core.task import Family, Task
from lampbench.engine.models import ModelSpec
from lampbench.plugin.hyperparameter import SourcedValue as Value
from lampbench.util.errors import LampbenchError, suggestion

_PAPER = "paper 4.1"
_CODE = "reference code (the paper is silent)"
_OPPU = "OPPU's gen_profile.py, which the paper follows"


def _lora(section: str, rank: int, targets: tuple[str, ...]) -> dict[str, Value]:
    return {
        f"{section}.rank": Value(rank, _CODE),
        f"{section}.alpha": Value(rank, _CODE),
        f"{section}.dropout": Value(0.05, _CODE),
        f"{section}.targets": Value(targets, _CODE),
    }


def _optimizer(section: str, batch_size: int) -> dict[str, Value]:
    return {
        f"{section}.batch_size": Value(batch_size, _PAPER),
        f"{section}.weight_decay": Value(0.01, _PAPER),
        f"{section}.warmup_ratio": Value(0.1, _PAPER),
        f"{section}.max_grad_norm": Value(0.3, _CODE),
    }


_EVERY_FAMILY: dict[str, Value] = {
    "prompting.k": Value(3, "paper, appendix B"),
    "profile.records": Value(10, _OPPU),
    "profile.max_new_tokens": Value(200, _OPPU),
    "profile.temperature": Value(0.6, _OPPU),
    "profile.top_p": Value(0.9, _OPPU),
    **_lora("task_sft", 16, ("q_proj", "k_proj", "v_proj", "o_proj")),
    **_optimizer("task_sft", 8),
    "task_sft.epochs": Value(2, _PAPER),
    **_lora("user_sft", 8, ("q_proj", "v_proj")),
    **_optimizer("user_sft", 4),
    "user_sft.epochs": Value(2, _PAPER),
    **_optimizer("user_dpo", 4),
    "user_dpo.learning_rate": Value(5e-6, _PAPER),
    "user_dpo.dropout": Value(0.0, "trl trains DPO without dropout by default (disable_dropout)"),
    "negatives.n": Value(3, _PAPER),
    "negatives.temperature": Value(1.0, _PAPER),
    "negatives.top_p": Value(1.0, "paper 4.1 names temperature alone; the code adds top_p 0.95"),
    "decoding.tau": Value(0.1, _PAPER),
    "decoding.penalty_on": Value("scores", "where the code applies it; on logits 7.0 is ruinous"),
}

_PAPER_FAMILY: dict[Family, dict[str, Value]] = {
    "lamp": {
        "task_sft.learning_rate": Value(1e-5, "paper 4.1, LaMP"),
        "user_sft.learning_rate": Value(1e-5, "paper 4.1, LaMP"),
        "user_dpo.epochs": Value(2, "paper 4.1, LaMP"),
        "user_dpo.beta": Value(3.0, "paper 4.1, LaMP"),
        "decoding.alpha": Value(0.3, "paper 4.1, LaMP"),
        "decoding.repetition_penalty": Value(1.0, "paper 4.1, LaMP"),
    },
    "longlamp": {
        "task_sft.learning_rate": Value(1e-4, "paper 4.1, LongLaMP"),
        "user_sft.learning_rate": Value(1e-4, "paper 4.1, LongLaMP"),
        "user_dpo.epochs": Value(1, "paper 4.1, LongLaMP"),
        "user_dpo.beta": Value(0.05, "paper 4.1, LongLaMP"),
        "decoding.alpha": Value(0.1, "paper 4.1, LongLaMP"),
        "decoding.repetition_penalty": Value(7.0, "paper 4.1, LongLaMP"),
    },
}

# The reference code's defaults, for `--fidelity reference` (FIDELITY switches change the rest).
_REFERENCE: dict[str, Value] = {
    "task_sft.epochs": Value(3, "TAM.py"),
    "task_sft.learning_rate": Value(1e-4, "TAM.py"),
    "user_dpo.batch_size": Value(8, "OPPU_sft+dpo.py"),
    "user_dpo.epochs": Value(1, "OPPU_sft+dpo.py"),
    "user_dpo.beta": Value(0.01, "OPPU_sft+dpo.py"),
    "negatives.top_p": Value(0.95, "generate_pseudo_negatives.py:217"),
    "decoding.alpha": Value(0.1, "OPPU_sft+dpo.py"),
    "decoding.repetition_penalty": Value(1.2, "OPPU_sft+dpo.py (1.2 to 1.3)"),
}

_OF_MODELS: dict[str, dict[str, Any]] = tomllib.loads(
    files("lampbench.paper").joinpath("model_presets.toml").read_text("utf-8")
)

PRESETS = {
    "paper": "the paper's section 4.1",
    "reference": "the defaults of the paper's reference code",
    **{name: preset["about"] for name, preset in _OF_MODELS.items()},
}


def defaults(preset: str, task: Task) -> dict[str, Value]:
    """Default values, by hyper-parameter path, of a preset for a task.

    Raises:
        LampbenchError: no preset has that name.
    """
    if preset not in PRESETS:
        raise LampbenchError(f"no preset is called {preset!r}: {suggestion(preset, PRESETS)}")
    budget = Value(task.max_new_tokens, f"task {task.name}")
    values = {
        **_EVERY_FAMILY,
        **_PAPER_FAMILY[task.family],
        "decoding.max_new_tokens": budget,
    }
    if preset == "reference":
        values |= _REFERENCE
    elif preset in _OF_MODELS:
        values |= _values(_OF_MODELS[preset], "all") | _values(_OF_MODELS[preset], task.family)
    values.setdefault("negatives.max_new_tokens", values["decoding.max_new_tokens"])
    return values


def _values(preset: dict[str, Any], part: str) -> dict[str, Value]:
    """What a model's preset changes for all tasks, or for those of a family."""
    return {
        f"{section}.{name}": Value(**entry)
        for section, entries in preset.get(part, {}).items()
        for name, entry in entries.items()
    }


def default_preset(model: ModelSpec | None, fidelity: str) -> str:
    """The preset of a run for which the user chose none; `model` is None where it is not known."""
    if fidelity == "reference":
        return "reference"
    return (model and model.preset) or "paper"
