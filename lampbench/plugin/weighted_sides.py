"""Decodings that score tokens by a weighted sum of log-probabilities over sides."""

from abc import abstractmethod
from dataclasses import dataclass, field, fields, replace
from typing import ClassVar

from lampbench.core.dataset import User
from lampbench.engine.protocol import Contrast, GenerationSpec
from lampbench.plugin.context import Context, WeightsSource
from lampbench.plugin.decoding import Decoding
from lampbench.plugin.hyperparameter import hyper
from lampbench.plugin.prompting import Plain
from lampbench.plugin.side import Side, as_side
from lampbench.util.errors import LampbenchError


@dataclass(frozen=True)
class WeightedSides(Decoding):
    """The token with the highest sum of factor x log p(token) over sides (a product of experts).

    A subclass has its further sides as fields and gives the `factors`. All sides are given the same
    answer so far. A repetition penalty counts the tokens of the method's own prompt and of the
    answer, not those of other prompts. The reward of a token is its sum without the penalty.
    """

    @abstractmethod
    def factors(self) -> tuple[float, ...]:
        """The factor of the method's own side, then those of `sides` in their order."""

    @property
    def sides(self) -> tuple[Side, ...]:
        """The fields that hold a side, or weights that read the method's own prompt."""
        held = [getattr(self, one.name) for one in fields(self)]
        return tuple(as_side(one) for one in held if isinstance(one, (Side, WeightsSource)))

    def spec(self, context: Context, user: User) -> GenerationSpec:
        """Each side with its factor and this user's weights.

        Raises:
            LampbenchError: there is no side, or not one factor for each and the method's own.
        """
        own, *factors = self.factors()
        if not self.sides or len(factors) != len(self.sides):
            raise LampbenchError(
                f"{type(self).__name__} has {len(self.sides)} sides beside the method's own, and "
                f"its factors() gives {1 + len(factors)} numbers: give one for the method's own "
                "side, then one for each field that holds a side"
            )
        weights = [context.weights(side.weights, user) for side in self.sides]
        (against, factor), *more = zip(weights, factors, strict=True)
        return GenerationSpec(
            self.max_new_tokens,
            self.repetition_penalty,
            self.penalty_on,
            contrast=Contrast(against, -factor, tau=0.0, own=own, more=tuple(more)),
            rewards=context.rewards,
        )


@dataclass(frozen=True)
class Contrastive(WeightedSides):
    """Reward-guided decoding (CoPe, equations 1 to 3): log p_own - alpha log p_against.

    `against` are the weights of the base model in the equations (the paper: TAM), which read the
    method's own prompt; None contrasts with the untouched model (Figure 3a, "init"). A `Side` may
    have another prompt too. Only tokens that are plausible to the method's own side are chosen.
    """

    name: ClassVar = "contrastive"
    against: WeightsSource | Side | None = None
    alpha: float = hyper("contrast weight of equation 2", low=0.0)
    tau: float = hyper("plausibility threshold of equation 1", low=0.0, high=1.0)

    @property
    def sides(self) -> tuple[Side, ...]:
        """The one that is contrasted with."""
        return (as_side(self.against),)

    def factors(self) -> tuple[float, ...]:
        """One and -alpha."""
        return 1.0, -self.alpha

    def spec(self, context: Context, user: User) -> GenerationSpec:
        """The contrast, among the tokens of equation 1."""
        spec = super().spec(context, user)
        assert spec.contrast is not None
        exact = replace(spec.contrast, tau=self.tau, log_eps=context.fidelity.log_eps)
        return replace(spec, contrast=exact)


@dataclass(frozen=True)
class Guided(WeightedSides):
    """Guidance away from a side: (1 + strength) log p_own - strength log p_away.

    With a prompt that lacks the context it is context-aware decoding (Shi et al., 2023, section 2)
    and context steering (He et al., 2024). Strength 0 is the method's own side alone, -1 the other
    side alone. The default is Shi et al.'s for summarisation.
    """

    name: ClassVar = "guided"
    away_from: Side = field(default_factory=lambda: Side(prompting=Plain()))
    strength: float = hyper("how far the difference is amplified", default=0.5)

    def factors(self) -> tuple[float, ...]:
        """1 + strength and -strength."""
        return 1.0 + self.strength, -self.strength


@dataclass(frozen=True)
class ExpertGuided(WeightedSides):
    """Guidance by two experts: log p_own + strength (log p_expert - log p_antiexpert).

    The sum of logits of Liu et al. (2021, equation 2), which orders tokens alike. The default
    strength is theirs for detoxification.
    """

    name: ClassVar = "expert_guided"
    expert: Side | WeightsSource
    antiexpert: Side | WeightsSource
    strength: float = hyper("how far the experts' difference counts", default=2.0)

    def factors(self) -> tuple[float, ...]:
        """One, strength and -strength."""
        return 1.0, self.strength, -self.strength
