"""A side of a decoding that compares several: a prompting, and the weights that answer it."""

from dataclasses import dataclass, field
from typing import ClassVar

from lampbench.core.dataset import Query, Record, User
from lampbench.core.prompt import Prompt
from lampbench.engine.protocol import Weights
from lampbench.plugin.context import Context, WeightsSource
from lampbench.plugin.hyperparameter import Part
from lampbench.plugin.prompting import Prompting


@dataclass(frozen=True)
class OwnPrompting(Prompting):
    """The prompting of the method itself."""

    name: ClassVar = "own_prompting"

    def render(self, context: Context, user: User, item: Query | Record) -> Prompt:
        """The method's prompt."""
        return context.prompt(user, item)


@dataclass(frozen=True)
class OwnWeights(WeightsSource):
    """The weights that answer for the method itself."""

    name: ClassVar = "own_weights"
    section = "own_weights"

    def weights(self, context: Context, user: User) -> Weights:
        """The method's weights."""
        return context.own_weights(user)


@dataclass(frozen=True)
class Side(Part):
    """A prompt and weights, beside the method's own; what is left out is the method's own.

    `weights` None is the model as it is. Adapters are trained on the method's own prompts, whatever
    a side shows them.
    """

    name: ClassVar = "side"
    section = "side"
    prompting: Prompting = field(default_factory=OwnPrompting)
    weights: WeightsSource | None = field(default_factory=OwnWeights)

    def prompt(self, context: Context, user: User, item: Query | Record) -> Prompt | None:
        """The side's prompt for an item; None where it reads the method's own."""
        if isinstance(self.prompting, OwnPrompting):
            return None
        return self.prompting.render(context, user, item)


def as_side(given: Side | WeightsSource | None) -> Side:
    """A side; weights alone, or None for the model as it is, read the method's own prompt."""
    return given if isinstance(given, Side) else Side(weights=given)
