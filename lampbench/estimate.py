"""What a plan will cost, before it is paid: tokens and disk, as far as they can be known."""

from dataclasses import dataclass
from functools import singledispatch
from pathlib import Path

import click
from tabulate import tabulate

from lampbench.adaptation import LoraRecipe, TaskSFT, UserDPO, UserSFT
from lampbench.context import Context
from lampbench.data.types import User
from lampbench.models import hidden_sizes, resolve
from lampbench.negatives import BestOfN, Samples
from lampbench.plan import Plan
from lampbench.profile import UserProfile
from lampbench.recipe import Owner, Recipe


@dataclass(frozen=True, slots=True)
class Cost:
    """Tokens that go through the model, tokens written at most, bytes stored; None: unknown."""

    read: int | None = None
    written: int | None = 0
    disk: int | None = None


def print_plan(plan: Plan) -> None:
    """Print a plan's stages, what of them is cached, and what the rest will cost."""
    context = plan.context
    click.echo(
        f"{plan.method.name} on {context.task.name}, model {context.model}, seed {context.seed}"
    )
    state = "recorded already" if plan.done else "to be recorded"
    click.echo(f"  {state}: {plan.folder}")
    length = _Length(context.model)
    rows = []
    for stage in plan.stages:
        missing = stage.missing(context)
        costs = [cost_of(stage.recipe, context, owner, length) for owner in missing]
        rows.append([stage.name, len(stage.owners), len(stage.owners) - len(missing),
                     *(_total([getattr(c, name) for c in costs])
                       for name in ("read", "written", "disk"))])  # fmt: skip
    queries = [q for user in context.dataset.test_users for q in user.queries]
    asked = 0 if plan.done else sum(length.of(*q.fields.values()) for q in queries)
    budget = 0 if plan.done else len(queries) * plan.method.decoding.max_new_tokens
    rows.append(["predict", len(queries), len(queries) if plan.done else 0, asked, budget, 0])
    heads = ["stage", "units", "cached", "tokens read", "tokens written, at most", "bytes stored"]
    click.echo(tabulate(rows, headers=heads, intfmt=","))
    click.echo(f"  tokens are {length.how}; prompts' fixed words are not counted\n")


def _total(values: list[int | None]) -> int | str:
    known = [value for value in values if value is not None]
    return sum(known) if len(known) == len(values) else "unknown"


class _Length:
    """Lengths in tokens: counted with a local tokenizer, else estimated from characters."""

    def __init__(self, model: str) -> None:
        file = Path(resolve(model).location) / "tokenizer.json"
        self._tokenizer = None
        self.how = "estimated as characters / 4 (no local tokenizer)"
        if file.is_file():
            from tokenizers import Tokenizer

            self._tokenizer = Tokenizer.from_file(str(file))
            self.how = "counted with the model's tokenizer"

    def of(self, *texts: str) -> int:
        """Tokens of some texts together."""
        if self._tokenizer is None:
            return sum(len(text) for text in texts) // 4
        return sum(len(self._tokenizer.encode(text, add_special_tokens=False)) for text in texts)

    def of_history(self, user: User) -> int:
        """Tokens of a user's past records, inputs and targets."""
        return sum(self.of(*r.fields.values(), r.target) for r in user.history)


@singledispatch
def cost_of(recipe: Recipe, context: Context, owner: Owner, length: _Length) -> Cost:
    """The cost of one artifact. A plugin's own recipe is unknown unless it registers here."""
    return Cost(read=None, written=None, disk=None)


@cost_of.register
def _(recipe: TaskSFT, context: Context, owner: Owner, length: _Length) -> Cost:
    users = context.dataset.train_users
    texts = [[*q.fields.values(), q.reference or ""] for user in users for q in user.queries]
    read = recipe.epochs * sum(length.of(*text) for text in texts)
    return Cost(read, disk=_adapter_bytes(recipe, context.model))


@cost_of.register
def _(recipe: UserSFT, context: Context, owner: Owner, length: _Length) -> Cost:
    assert owner is not None
    read = recipe.epochs * length.of_history(owner)
    return Cost(read, disk=_adapter_bytes(recipe, context.model))


@cost_of.register
def _(recipe: UserDPO, context: Context, owner: Owner, length: _Length) -> Cost:
    assert owner is not None  # a pair has two sides, each read by the policy and the reference
    read = (2 * recipe.epochs + 2) * length.of_history(owner)
    return Cost(read, disk=_adapter_bytes(recipe.start, context.model))


@cost_of.register
def _(recipe: Samples, context: Context, owner: Owner, length: _Length) -> Cost:
    assert owner is not None
    read = sum(length.of(*record.fields.values()) for record in owner.history)
    written = recipe.n * len(owner.history) * recipe.max_new_tokens
    return Cost(read, written, disk=4 * written)


@cost_of.register
def _(recipe: BestOfN, context: Context, owner: Owner, length: _Length) -> Cost:
    assert owner is not None
    return Cost(2 * recipe.samples.n * length.of_history(owner), disk=0)


@cost_of.register
def _(recipe: UserProfile, context: Context, owner: Owner, length: _Length) -> Cost:
    assert owner is not None
    shown = owner.history[-recipe.records :]
    read = sum(length.of(*record.fields.values(), record.target) for record in shown)
    return Cost(read, recipe.max_new_tokens, disk=4 * recipe.max_new_tokens)


def _adapter_bytes(recipe: LoraRecipe, model: str) -> int | None:
    """Size of a float32 adapter: rank x (inputs + outputs) of every target in every layer."""
    sizes = hidden_sizes(resolve(model))
    if sizes is None or not set(recipe.targets) <= sizes.linear.keys():
        return None
    per_layer = sum(sum(sizes.linear[name]) for name in recipe.targets)
    return 4 * recipe.rank * per_layer * sizes.layers
