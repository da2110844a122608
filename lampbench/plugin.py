"""The public face for plugin authors: everything a method, task or metric file needs.

from lampbench.plugin import Method, register_method

@register_method("mine")
class Mine(Method):
    ...
"""

from collections.abc import Callable
from typing import TypeVar

from lampbench.adaptation import AdapterRecipe, LoraRecipe, TaskSFT, UserDPO, UserSFT
from lampbench.context import Context
from lampbench.data.types import Dataset, Query, Record, User
from lampbench.decoding import Contrastive, Decoding, Greedy
from lampbench.errors import LampbenchError
from lampbench.hyper import Part, hyper
from lampbench.marking import mark
from lampbench.method import Method, Prediction
from lampbench.metric import Answer, Metric, register_metric
from lampbench.negatives import BestOfN, Samples
from lampbench.profile import UserProfile
from lampbench.prompt import Piece, Prompt, fill
from lampbench.prompting import Plain, ProfileAugmented, Prompting, RetrievalAugmented
from lampbench.recipe import Recipe
from lampbench.task import FileFormat, HubSource, Task

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
    "BestOfN",
    "Context",
    "Contrastive",
    "Dataset",
    "Decoding",
    "FileFormat",
    "Greedy",
    "HubSource",
    "LampbenchError",
    "LoraRecipe",
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
