"""Every hyper-parameter of the paper's section 4.1 is the default of its task family."""

import re
from pathlib import Path

import pytest

from lampbench.engine.models import MODEL_PRESETS
from lampbench.paper.presets import default_preset, defaults
from lampbench.plugin.hyperparameter import ValueSources
from lampbench.registry import Registry

LAMP = ("news_headline", "scholarly_title")
LONGLAMP = ("abstract_generation", "review_writing", "topic_writing")

EVERYWHERE = {
    "task_sft.batch_size": 8,
    "user_sft.batch_size": 4,
    "user_dpo.batch_size": 4,
    "task_sft.weight_decay": 0.01,
    "user_sft.weight_decay": 0.01,
    "user_dpo.weight_decay": 0.01,
    "task_sft.warmup_ratio": 0.1,
    "user_sft.warmup_ratio": 0.1,
    "user_dpo.warmup_ratio": 0.1,
    "task_sft.epochs": 2,
    "user_sft.epochs": 2,
    "user_dpo.learning_rate": 5e-6,
    "negatives.n": 3,
    "negatives.temperature": 1.0,
    "negatives.top_p": 1.0,
    "decoding.tau": 0.1,
}
BY_FAMILY = {
    LAMP: {
        "task_sft.learning_rate": 1e-5,
        "user_sft.learning_rate": 1e-5,
        "user_dpo.epochs": 2,
        "user_dpo.beta": 3.0,
        "decoding.alpha": 0.3,
        "decoding.repetition_penalty": 1.0,
    },
    LONGLAMP: {
        "task_sft.learning_rate": 1e-4,
        "user_sft.learning_rate": 1e-4,
        "user_dpo.epochs": 1,
        "user_dpo.beta": 0.05,
        "decoding.alpha": 0.1,
        "decoding.repetition_penalty": 7.0,
    },
}


def resolved(method, task, preset="paper"):
    registry = Registry()
    layers = ValueSources({}, defaults(preset, registry.task(task)))
    return registry.method(method).resolved(layers)


@pytest.mark.parametrize("task", LAMP + LONGLAMP)
def test_the_papers_values(task):
    family = LAMP if task in LAMP else LONGLAMP
    _, settings = resolved("cope", task)
    for path, value in {**EVERYWHERE, **BY_FAMILY[family]}.items():
        assert settings[path].value == value, path
        assert settings[path].source


def test_retrieval_quotes_three_records():
    for method in ("rag", "pag"):
        assert resolved(method, "news_headline")[1]["prompting.k"].value == 3


def test_the_bundled_models_preset_changes_what_scale_forces_and_tuning_chose():
    _, paper = resolved("cope", "news_headline")
    _, small = resolved("cope", "news_headline", "small")
    changed = {path for path in paper if paper[path].value != small[path].value}
    rates = {f"{stage}.learning_rate" for stage in ("task_sft", "user_sft", "user_dpo")}
    tuned = {"user_sft.batch_size", "decoding.alpha"}
    assert changed == rates | tuned | {"decoding.max_new_tokens", "negatives.max_new_tokens"}


@pytest.mark.parametrize(
    ("part", "preset", "task"),
    [
        ("lamp", "small", "scholarly_title"),
        ("longlamp", "small", "topic_writing"),
        ("smollm2-135m", "smollm2-135m", "news_headline"),
    ],
)
def test_a_models_preset_is_what_tuning_chose(part, preset, task):
    page = (Path(__file__).parents[2] / "tuning/README.md").read_text()
    rows = page.split(f"## {part}\n")[1].split("## ")[0]
    chosen = {path: float(value) for path, value in re.findall(r"\| (\S+) \| \*\*(.+?)\*\*", rows)}
    assert len(chosen) >= 2
    _, settings = resolved("cope", task, preset)
    assert {path: settings[path].value for path in chosen} == chosen


def test_which_preset_is_whose_default():
    assert default_preset(MODEL_PRESETS["bundled"], "paper") == "small"
    assert default_preset(MODEL_PRESETS["mistral-7b"], "paper") == "paper"
    assert default_preset(None, "paper") == "paper"
    assert default_preset(MODEL_PRESETS["bundled"], "reference") == "reference"


def test_the_ablations_are_the_same_parts_recombined():
    parts = {
        name: resolved(name, "news_headline")[0]
        for name in ("tam", "oppu", "oppu_cd", "oppu_dpo", "cope")
    }
    assert parts["oppu_cd"].adaptation == parts["oppu"].adaptation
    assert parts["oppu_dpo"].adaptation == parts["cope"].adaptation
    assert parts["oppu_cd"].decoding == parts["cope"].decoding
    assert parts["oppu_dpo"].decoding == parts["oppu"].decoding
    assert parts["cope"].adaptation.start == parts["oppu"].adaptation
    assert parts["cope"].decoding.against == parts["tam"].adaptation
