"""Estimated cost of artifacts and answers: tokens and disk space, as far as can be known."""

from dataclasses import dataclass
from functools import cache, singledispatch
from pathlib import Path
from typing import Any

from lampbench.core.dataset import User
from lampbench.engine.model_files import decoder_sizes
from lampbench.engine.models import ModelSpec, resolve_model
from lampbench.engine.packaged_model import packaged_tokenizer
from lampbench.engine.protocol import (
    AdapterSpec,
    DoraSpec,
    GateSpec,
    IA3Spec,
    PiecesSpec,
    PrefixSpec,
    SoftPromptSpec,
    SteeringSpec,
)
from lampbench.execution.specification import Owner, RunSpecification
from lampbench.plugin.adaptation import TaskSFT, UserDPO, UserSFT
from lampbench.plugin.adapter_recipe import LoraRecipe
from lampbench.plugin.assembled import AssembledFromUsers, PieceGates
from lampbench.plugin.borrowing import MeanOfUsers
from lampbench.plugin.context import Recipe
from lampbench.plugin.dense_retrieval import Embeddings
from lampbench.plugin.hyperparameter import Part, child_parts
from lampbench.plugin.negatives import LowestReward, Samples
from lampbench.plugin.reranking import Reranked
from lampbench.plugin.side import OwnPrompting
from lampbench.plugin.steering import SteeringVector
from lampbench.plugin.user_profile import UserProfile
from lampbench.plugin.user_tuning import UserTuning
from lampbench.util.errors import LampbenchError


@dataclass(frozen=True, slots=True)
class Cost:
    """Tokens read, trained on (forward and backward) and written at most, and bytes stored; None is
    unknown.
    """

    read: int | None = 0
    trained: int | None = 0
    written: int | None = 0
    disk: int | None = 0


UNKNOWN = Cost(None, None, None, None)


class Lengths:
    """Text lengths in tokens: counted with a local tokenizer, else estimated from characters."""

    def __init__(self, model: ModelSpec) -> None:
        self._tokenizer = _tokenizer(model)
        self._histories: dict[str, int] = {}
        self.how = (
            "counted with the model's tokenizer"
            if self._tokenizer is not None
            else "estimated as characters / 4 (no local tokenizer)"
        )

    def of(self, *texts: str) -> int:
        """Tokens of some texts together."""
        if self._tokenizer is None:
            return sum(len(text) for text in texts) // 4
        return sum(len(self._tokenizer.encode(text, add_special_tokens=False)) for text in texts)

    def of_history(self, user: User) -> int:
        """Tokens of a user's past records, inputs and targets."""
        place = user.fingerprint  # of many users each is an object made anew
        if place not in self._histories:
            count = sum(self.of(*r.fields.values(), r.target) for r in user.history)
            self._histories[place] = count
        return self._histories[place]


@cache
def _tokenizer(model: ModelSpec) -> Any:
    """The `tokenizers.Tokenizer` of a model's folder or package; None where it is not here."""
    if model.package is not None:
        try:
            return packaged_tokenizer(model.package).backend_tokenizer
        except LampbenchError:
            return None
    file = Path(model.location) / "tokenizer.json"
    if not file.is_file():
        return None
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(file))


def artifact_cost(recipe: Recipe, spec: RunSpecification, owner: Owner, lengths: Lengths) -> Cost:
    """The cost of one artifact; unknown for a plugin's own recipe that registers none."""
    if isinstance(owner, User):
        return user_cost(recipe, spec, owner, lengths)
    return task_cost(recipe, spec, lengths)


@singledispatch
def task_cost(recipe: Recipe, spec: RunSpecification, lengths: Lengths) -> Cost:
    """The cost of a task's artifact. Other recipes register here."""
    return UNKNOWN


@task_cost.register
def _(recipe: TaskSFT, spec: RunSpecification, lengths: Lengths) -> Cost:
    users = spec.dataset.train_users
    texts = [[*q.fields.values(), q.reference or ""] for user in users for q in user.queries]
    trained = recipe.epochs * sum(lengths.of(*text) for text in texts)
    return Cost(trained=trained, disk=_adapter_bytes(recipe, spec.model))


@task_cost.register
def _(recipe: MeanOfUsers, spec: RunSpecification, lengths: Lengths) -> Cost:
    return Cost(disk=None)  # its rank depends on how many users there are


@singledispatch
def user_cost(recipe: Recipe, spec: RunSpecification, user: User, lengths: Lengths) -> Cost:
    """The cost of a user's artifact. Other recipes register here."""
    return UNKNOWN


@user_cost.register
def _(recipe: UserSFT, spec: RunSpecification, user: User, lengths: Lengths) -> Cost:
    trained = recipe.epochs * lengths.of_history(user)
    return Cost(trained=trained, disk=_adapter_bytes(recipe, spec.model))


@user_cost.register
def _(recipe: UserDPO, spec: RunSpecification, user: User, lengths: Lengths) -> Cost:
    sides = 2 * lengths.of_history(user)  # a pair has two; the reference reads both once
    disk = _adapter_bytes(recipe.start, spec.model)
    return Cost(read=sides, trained=recipe.epochs * sides, disk=disk)


@user_cost.register
def _(recipe: UserTuning, spec: RunSpecification, user: User, lengths: Lengths) -> Cost:
    shape, trained = recipe.what.spec(), recipe.epochs * lengths.of_history(user)
    return Cost(trained=trained, disk=_shape_bytes(shape, spec.model))


@user_cost.register
def _(recipe: SteeringVector, spec: RunSpecification, user: User, lengths: Lengths) -> Cost:
    generic = len(user.history) * recipe.generic.max_new_tokens
    sizes = decoder_sizes(resolve_model(spec.model))
    disk = 4 * sizes.linear["o_proj"][1] if sizes else None
    inputs = sum(lengths.of(*record.fields.values()) for record in user.history)
    return Cost(trained=lengths.of_history(user) + inputs + generic, disk=disk)


@user_cost.register
def _(recipe: PieceGates, spec: RunSpecification, user: User, lengths: Lengths) -> Cost:
    sizes, lora = decoder_sizes(resolve_model(spec.model)), recipe.lora
    disk = None  # a vector as wide as the input of each of the LoRA's layers
    if sizes and isinstance(lora, LoraRecipe) and set(lora.targets) <= sizes.linear.keys():
        disk = 4 * sizes.layers * sum(sizes.linear[name][0] for name in lora.targets)
    return Cost(trained=recipe.epochs * lengths.of_history(user), disk=disk)


@user_cost.register
def _(recipe: AssembledFromUsers, spec: RunSpecification, user: User, lengths: Lengths) -> Cost:
    latest = user.history[-recipe.records :]
    tokens = sum(lengths.of(*record.fields.values(), record.target) for record in latest)
    return Cost(read=tokens, disk=None)  # its rank depends on what is added up


@user_cost.register
def _(recipe: Samples, spec: RunSpecification, user: User, lengths: Lengths) -> Cost:
    read = sum(lengths.of(*record.fields.values()) for record in user.history)
    written = recipe.n * len(user.history) * recipe.max_new_tokens
    return Cost(read=read, written=written, disk=4 * written)


@user_cost.register
def _(recipe: LowestReward, spec: RunSpecification, user: User, lengths: Lengths) -> Cost:
    return Cost(read=2 * recipe.samples.n * lengths.of_history(user))


@user_cost.register
def _(recipe: UserProfile, spec: RunSpecification, user: User, lengths: Lengths) -> Cost:
    shown = user.history[-recipe.records :]
    read = sum(lengths.of(*record.fields.values(), record.target) for record in shown)
    budget = recipe.max_new_tokens
    return Cost(read=read, written=budget, disk=4 * budget)


@user_cost.register
def _(recipe: Embeddings, spec: RunSpecification, user: User, lengths: Lengths) -> Cost:
    return Cost()  # an encoder reads the records, not the language model


def answer_cost(spec: RunSpecification, lengths: Lengths) -> Cost:
    """Answering all queries: their fields, as much quoted history as the prompts may hold, both
    for every answer that is generated. The other sides of a contrast read their prompts and write
    too; for a choice, models read every answer again. Unknown for a method with its own `predict`
    that does not say how many answers it generates.
    """
    decoding, answers = spec.method.decoding, spec.method.generated_per_query()
    if answers is None:
        return UNKNOWN
    own = _quoted(spec.method.prompting)
    others = [side.prompting for side in decoding.sides]
    quoted = [own, *(own if isinstance(p, OwnPrompting) else _quoted(p) for p in others)]
    judges = decoding.by.models_asked if isinstance(decoding, Reranked) and decoding.by else 0
    prompts = of_sides = written = 0
    for user in spec.dataset.test_users:
        mean = lengths.of_history(user) // max(1, len(user.history)) if any(quoted) else 0
        for query in user.queries:
            fields = lengths.of(*query.fields.values())
            sides = [fields + min(count, len(user.history)) * mean for count in quoted]
            prompts, of_sides = prompts + sides[0], of_sides + sum(sides)
            written += decoding.max_new_tokens
    read = of_sides + judges * (prompts + written)
    return Cost(read=answers * read, written=answers * len(quoted) * written)


def _quoted(prompting: Part) -> int:
    """How many records a prompt may quote, also through a prompting inside another."""
    inside = [_quoted(child) for _, child in child_parts(prompting)]
    return int(getattr(prompting, "k", 0)) + sum(inside)


def _adapter_bytes(recipe: LoraRecipe, model: str) -> int | None:
    return _shape_bytes(recipe.lora(), model)


def _shape_bytes(shape: AdapterSpec, model: str) -> int | None:
    """Size of a float32 adapter; a LoRA's is rank x (inputs + outputs) of every target's layer."""
    sizes = decoder_sizes(resolve_model(model))
    if sizes is None:
        return None
    if isinstance(shape, PrefixSpec):
        return 4 * shape.length * 2 * sizes.linear["k_proj"][1] * sizes.layers
    if isinstance(shape, SoftPromptSpec):
        return 4 * shape.length * sizes.linear["q_proj"][0]
    if isinstance(shape, (SteeringSpec, GateSpec, PiecesSpec)):
        return None
    if not set(shape.targets) <= sizes.linear.keys():
        return None
    if isinstance(shape, IA3Spec):
        scaled = [sizes.linear[name][name not in shape.feedforward] for name in shape.targets]
        return 4 * sum(scaled) * sizes.layers
    per_layer = sum(sum(sizes.linear[name]) for name in shape.targets)
    magnitudes = sum(sizes.linear[name][1] for name in shape.targets)
    more = magnitudes if isinstance(shape, DoraSpec) else 0
    return 4 * (shape.rank * per_layer + more) * sizes.layers
