"""Everything that the file of a method, task, metric or engine needs.

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
from lampbench.engine.capability import EVERYTHING, Capability
from lampbench.engine.engine_argument import EngineArgument
from lampbench.engine.engine_plugin import EnginePlugin, EngineSetup, register_engine
from lampbench.engine.protocol import (
    CombineJob,
    Completion,
    Engine,
    GenerateRequest,
    GenerationSpec,
    Sampling,
    ScoreRequest,
    ScoreResult,
    StepHook,
    TrainFailure,
    TrainJob,
    TrainResult,
    Weights,
)
from lampbench.plugin.adaptation import TaskSFT, UserDPO, UserSFT
from lampbench.plugin.adapter_recipe import AdapterRecipe, LoraRecipe
from lampbench.plugin.assembled import AssembledFromUsers, PieceGates
from lampbench.plugin.borrowing import (
    AnotherUsers,
    AnotherUsersPrompt,
    Borrowing,
    MeanOfUsers,
    OnShuffledHistories,
    another_user,
)
from lampbench.plugin.context import Context, Recipe, TaskRecipe, UserRecipe, WeightsSource
from lampbench.plugin.criterion import AnswerLikelihood, HistorySimilarity, ImplicitReward
from lampbench.plugin.decoding import Decoding, Greedy
from lampbench.plugin.dense_retrieval import CONTRIEVER, WORDLLAMA, Dense, Embeddings
from lampbench.plugin.halves import HeldOutDPO, MeanOfHalves, OtherHalf
from lampbench.plugin.hyperparameter import Part, hyper
from lampbench.plugin.method import Method, Prediction
from lampbench.plugin.metric import Answer, Metric, register_metric
from lampbench.plugin.negatives import LowestReward, Samples
from lampbench.plugin.prompting import (
    Plain,
    ProfileAugmented,
    Prompting,
    RetrievalAugmented,
)
from lampbench.plugin.reranking import CandidateAnswers, Criterion, Reranked, Sampled
from lampbench.plugin.retrieval import (
    BM25,
    RandomRecords,
    Ranking,
    Recent,
    Retriever,
    before,
    nearest,
    relevant,
)
from lampbench.plugin.side import Side
from lampbench.plugin.steering import SteeringVector
from lampbench.plugin.user_profile import UserProfile
from lampbench.plugin.user_tuning import (
    IA3,
    Dora,
    Lora,
    Prefix,
    SoftPrompt,
    Trainable,
    UserTuning,
)
from lampbench.plugin.weighted_sides import Contrastive, ExpertGuided, Guided, WeightedSides
from lampbench.util.errors import LampbenchError
from lampbench.util.hashing import seed_from

_M = TypeVar("_M", bound=type[Method])
_T = TypeVar("_T", bound=type[Task])


def register_method(name: str) -> Callable[[_M], _M]:
    """Class decorator: register a method under `name`."""

    def decorate(kind: _M) -> _M:
        mark(kind, "method", name)
        return kind

    return decorate


def register_task(name: str) -> Callable[[_T], _T]:
    """Class decorator: register a task under `name`."""

    def decorate(kind: _T) -> _T:
        mark(kind, "task", name)
        return kind

    return decorate


__all__ = [
    "BM25",
    "CONTRIEVER",
    "EVERYTHING",
    "IA3",
    "WORDLLAMA",
    "AdapterRecipe",
    "AnotherUsers",
    "AnotherUsersPrompt",
    "Answer",
    "AnswerLikelihood",
    "AssembledFromUsers",
    "Borrowing",
    "CandidateAnswers",
    "Capability",
    "CombineJob",
    "Completion",
    "Context",
    "Contrastive",
    "Criterion",
    "Dataset",
    "Decoding",
    "Dense",
    "Dora",
    "Embeddings",
    "Engine",
    "EngineArgument",
    "EnginePlugin",
    "EngineSetup",
    "ExpertGuided",
    "FileFormat",
    "GenerateRequest",
    "GenerationSpec",
    "Greedy",
    "Guided",
    "HeldOutDPO",
    "HistorySimilarity",
    "HubSource",
    "ImplicitReward",
    "LampbenchError",
    "Lora",
    "LoraRecipe",
    "LowestReward",
    "MeanOfHalves",
    "MeanOfUsers",
    "Method",
    "Metric",
    "OnShuffledHistories",
    "OtherHalf",
    "Part",
    "Piece",
    "PieceGates",
    "Plain",
    "Prediction",
    "Prefix",
    "ProfileAugmented",
    "Prompt",
    "Prompting",
    "Query",
    "RandomRecords",
    "Ranking",
    "Recent",
    "Recipe",
    "Record",
    "Reranked",
    "RetrievalAugmented",
    "Retriever",
    "Sampled",
    "Samples",
    "Sampling",
    "ScoreRequest",
    "ScoreResult",
    "Side",
    "SoftPrompt",
    "SteeringVector",
    "StepHook",
    "Task",
    "TaskRecipe",
    "TaskSFT",
    "TrainFailure",
    "TrainJob",
    "TrainResult",
    "Trainable",
    "User",
    "UserDPO",
    "UserProfile",
    "UserRecipe",
    "UserSFT",
    "UserTuning",
    "WeightedSides",
    "Weights",
    "WeightsSource",
    "another_user",
    "before",
    "fill",
    "hyper",
    "nearest",
    "register_engine",
    "register_method",
    "register_metric",
    "register_task",
    "relevant",
    "seed_from",
]


def __dir__() -> list[str]:
    return sorted({*__all__, "__all__", "__doc__", "__file__", "__name__", "__path__"})
