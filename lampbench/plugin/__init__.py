"""The public face for plugin authors: everything a method, task or metric file needs.

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
from lampbench.plugin.adaptation import AdapterRecipe, LoraRecipe, TaskSFT, UserDPO, UserSFT
from lampbench.plugin.decoding import Contrastive, Decoding, Greedy
from lampbench.plugin.hyperparameter import Part, hyper
from lampbench.plugin.method import Method, Prediction
from lampbench.plugin.metric import Answer, Metric, register_metric
from lampbench.plugin.negatives import LowestReward, Samples
from lampbench.plugin.prompting import Plain, ProfileAugmented, Prompting, RetrievalAugmented
from lampbench.plugin.recipe import Recipe
from lampbench.plugin.user_profile import UserProfile
from lampbench.run.executor import Context
from lampbench.util.errors import LampbenchError

M = TypeVar("M", bound=type[Method])
T = TypeVar("T", bound=type[Task])


def register_method(name: str) -> Callable[[M], M]:
    """Class decorator: this is the method called `name`."""

    def decorate(kind: M) -> M:
        mark(kind, "method", name)
        return kind

    return decorate


def register_task(name: str) -> Callable[[T], T]:
    """Class decorator: this is the task called `name`."""

    def decorate(kind: T) -> T:
        mark(kind, "task", name)
        return kind

    return decorate


__all__ = [
    "AdapterRecipe",
    "Answer",
    "Context",
    "Contrastive",
    "Dataset",
    "Decoding",
    "FileFormat",
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
    "Task",
    "TaskSFT",
    "User",
    "UserDPO",
    "UserProfile",
    "UserSFT",
    "fill",
    "hyper",
    "register_method",
    "register_metric",
    "register_task",
]
