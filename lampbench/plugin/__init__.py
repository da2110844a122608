"""Everything that a method, task or metric file needs.

from lampbench.plugin import Method, register_method

@register_method("mine")
class Mine(Method):
    ...
"""

from collections.abc import Callable
from typing import TypeVar

from lampbench.core.dataset import Dataset, Query, Record, User
from lampbench.core.prompt import Piece, Prompt, fill
from lampbench.core.registration import mark
from lampbench.core.task import FileFormat, HubSource, Task
from lampbench.engine.protocol import (
    Completion,
    GenerateRequest,
    GenerationSpec,
    Sampling,
    ScoreRequest,
    ScoreResult,
    Weights,
)
from lampbench.plugin.adaptation import TaskSFT, UserDPO, UserSFT
from lampbench.plugin.adapter_recipe import AdapterRecipe, LoraRecipe
from lampbench.plugin.context import Context, Recipe, TaskRecipe, UserRecipe
from lampbench.plugin.decoding import Contrastive, Decoding, Greedy
from lampbench.plugin.hyperparameter import Part, hyper
from lampbench.plugin.method import Method, Prediction
from lampbench.plugin.metric import Answer, Metric, register_metric
from lampbench.plugin.negatives import LowestReward, Samples
from lampbench.plugin.prompting import (
    Plain,
    ProfileAugmented,
    Prompting,
    RetrievalAugmented,
    before,
    nearest,
    relevant,
)
from lampbench.plugin.user_profile import UserProfile
from lampbench.util.errors import LampbenchError
from lampbench.util.hashing import seed_from

M = TypeVar("M", bound=type[Method])
T = TypeVar("T", bound=type[Task])


def register_method(name: str) -> Callable[[M], M]:
    """Class decorator: register a method under `name`."""

    def decorate(kind: M) -> M:
        mark(kind, "method", name)
        return kind

    return decorate


def register_task(name: str) -> Callable[[T], T]:
    """Class decorator: register a task under `name`."""

    def decorate(kind: T) -> T:
        mark(kind, "task", name)
        return kind

    return decorate


__all__ = [
    "AdapterRecipe",
    "Answer",
    "Completion",
    "Context",
    "Contrastive",
    "Dataset",
    "Decoding",
    "FileFormat",
    "GenerateRequest",
    "GenerationSpec",
    "Greedy",
    "HubSource",
    "LampbenchError",
    "LoraRecipe",
    "LowestReward",
    "Method",
    "Metric",
    "Part",
    "Piece",
    "Plain",
    "Prediction",
    "ProfileAugmented",
    "Prompt",
    "Prompting",
    "Query",
    "Recipe",
    "Record",
    "RetrievalAugmented",
    "Samples",
    "Sampling",
    "ScoreRequest",
    "ScoreResult",
    "Task",
    "TaskRecipe",
    "TaskSFT",
    "User",
    "UserDPO",
    "UserProfile",
    "UserRecipe",
    "UserSFT",
    "Weights",
    "before",
    "fill",
    "hyper",
    "nearest",
    "register_method",
    "register_metric",
    "register_task",
    "relevant",
    "seed_from",
]
