"""What one run is: everything that its numbers depend on, frozen."""

from dataclasses import dataclass
from pathlib import Path

from lampbench.core.dataset import Dataset, User
from lampbench.core.fidelity import Fidelity
from lampbench.core.task import Task
from lampbench.plugin.method import Method


@dataclass(frozen=True, slots=True)
class RunSpecification:
    """One method on one task, model, dataset and seed.

    `method` has every hyper-parameter set. `rewards` asks contrastive decoding for its tokens'
    rewards, to be recorded; `private` keeps all texts out of the record; `plugins` are files where
    the task's metrics may be. None of them changes a prediction or a key.
    """

    method: Method
    task: Task
    dataset: Dataset
    model: str
    fidelity: Fidelity
    seed: int
    rewards: bool = False
    private: bool = False
    plugins: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class WholeTask:
    """The owner of an artifact that all users of a task share."""

    id: str


Owner = User | WholeTask
"""Whose artifact it is. Both have an `id`."""
