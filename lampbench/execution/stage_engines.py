"""Which engine carries out which stage of a run."""

from collections.abc import Sequence

from lampbench.engine.capability import Capability
from lampbench.engine.pool import EngineOptions
from lampbench.plugin.context import Recipe
from lampbench.plugin.hyperparameter import Part
from lampbench.plugin.method import Method
from lampbench.plugin.recipe_graph import build_order
from lampbench.record.manifest import PREDICT
from lampbench.util.errors import LampbenchError, suggestion

TRAIN, SAMPLE, SCORE = "train", "sample", "score"
WORK = (TRAIN, SAMPLE, SCORE, PREDICT)
"""What a stage does, as the table [engine] may name it: train adapters, generate texts that are no
answers, score texts, or answer the queries."""

_WORK_OF = {
    TRAIN: {Capability.TRAIN_SFT, Capability.TRAIN_DPO, Capability.COMBINE, Capability.PIECES},
    SAMPLE: {Capability.GENERATE},
    SCORE: {Capability.SCORE, Capability.SCORE_RAW},
}


def engine_of(options: EngineOptions, recipe: Recipe | None) -> str:
    """The engine that builds a recipe's artifacts, or with None answers the queries."""
    if recipe is None:
        return options.stages.get(PREDICT, options.engine)
    named = options.stages.get(recipe.section)
    return named or options.stages.get(work_of(recipe) or "", options.engine)


def work_of(recipe: Recipe) -> str | None:
    """What building a recipe is: `TRAIN`, `SAMPLE` or `SCORE`; None where it does not say."""
    needed = recipe.needs() or frozenset()
    if needed == {Capability.STEERING}:  # as it is trained, and not as it is used
        return TRAIN
    return next((work for work, kinds in _WORK_OF.items() if needed & kinds), None)


def uses_engine(recipe: Recipe) -> bool:
    """Whether building it may need an engine."""
    return recipe.needs() != frozenset()


def require_known_stages(stages: Sequence[str], methods: Sequence[Method]) -> None:
    """Refuse names of stages that no method has.

    Raises:
        LampbenchError: there is such a name; the message says which there are.
    """
    parts: list[Part] = [part for method in methods for part in method.parts().values()]
    known = [*WORK, *(recipe.section for recipe in build_order(parts))]
    for name in stages:
        if name not in known:
            raise LampbenchError(
                f"[engine] {name}: these methods have no such stage: {suggestion(name, known)}"
            )
