"""The public face for plugin authors: everything a method or task file needs.

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
from lampbench.method import Method, Prediction
from lampbench.negatives import BestOfN, Samples
from lampbench.profile import UserProfile
from lampbench.prompt import Piece, Prompt, fill
from lampbench.prompting import Plain, ProfileAugmented, Prompting, RetrievalAugmented
from lampbench.recipe import Recipe
from lampbench.task import FileFormat, HubSource, Task

M = TypeVar("M", bound=type[Method])
T = TypeVar("T", bound=type[Task])

MARK = "__lampbench_plugin__"


def register_method(name: str) -> Callable[[M], M]:
    """Class decorator: this is the method called `name`."""

    def mark(kind: M) -> M:
        kind.name = name
        setattr(kind, MARK, ("method", name))
        return kind

    return mark


def register_task(name: str) -> Callable[[T], T]:
    """Class decorator: this is the task called `name`."""

    def mark(kind: T) -> T:
        kind.name = name
        setattr(kind, MARK, ("task", name))
        return kind

    return mark


__all__ = [
    "AdapterRecipe",
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
    "register_task",
]
