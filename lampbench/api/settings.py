"""What a run may be told, with the defaults of the command line."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TypedDict

from lampbench.core.task import Task
from lampbench.data.options import SplitBy
from lampbench.plugin.method import Method

AnyMethod = str | type[Method] | Method
AnyTask = str | type[Task] | Task

EXPERIMENTS = ("main", "cross-model", "ablation", "sensitivity")


class RunSettings(TypedDict, total=False):
    """How to run; every setting has the default of the command line.

    Attributes:
        data: source of the data: "bundled", "lamp:DIR", "oppu:DIR", "longlamp", "lampbench:DIR".
        users: number of test users, those with the longest histories first.
        min_history: records that a test user must have.
        split_by: "user" or "time", for LaMP and LongLaMP.
        splits: published splits to read: "train", "dev", "test".
        data_seed: orders users with equally long histories.
        preset: default hyper-parameters: "paper", "small" or "reference".
        hyperparameters: values by path, such as {"decoding.alpha": 0.5}.
        assignments: values as the command line writes them, "decoding.alpha=0.5".
        config: TOML file of hyper-parameters.
        fidelity: "paper", or "reference" for the choices of the paper's released code.
        chat_template: a template of the paper's appendix D instead of the tokenizer's own.
        device: "cpu", "cuda", "cuda:1", "mps".
        dtype: "float32", "bfloat16" or "float16".
        batch_size: most rows in one decoding step.
        engine: "batched" or "reference".
        private: record hashes, lengths and scores, but no text of users and none of the model.
        rewards: record the reward of every token that contrastive decoding chooses.
        cache_dir: folder of adapters, negatives and other artifacts.
        plugins: files or folders of plugins.
    """

    data: str
    users: int | None
    min_history: int
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
    batch_size: int | None
    engine: str
    private: bool
    rewards: bool
    cache_dir: Path | str
    plugins: Sequence[str]
